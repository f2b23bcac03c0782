package io.xolotl.ptrace;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.codeUnits;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.fields;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaCodeUnit;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.lang.ArchCondition;
import com.tngtech.archunit.lang.ConditionEvents;
import com.tngtech.archunit.lang.SimpleConditionEvent;
import java.lang.foreign.Linker;
import java.lang.foreign.SymbolLookup;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** Holds the arrows between the public types, the raw calls and the rest of the house. */
class ArchitectureTest {

  private static final String NATIVE = "java.lang.foreign";

  private static final JavaClasses CLASSES = new ClassFileImporter()
      .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS).importPackages("io.xolotl.ptrace");

  @Test
  void nativeMemoryIsInNoPublicSignature() {
    codeUnits().that().areDeclaredInClassesThat().arePublic().and().arePublic()
        .should(notMentionNativeTypes())
        .check(CLASSES);
    fields().that().areDeclaredInClassesThat().arePublic().and().arePublic().should()
        .notHaveRawType(com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage(NATIVE))
        .check(CLASSES);
  }

  /** The C library is linked in one place; the C++ library, which may not be there, in the one that asks it. */
  @Test
  void onlyLibcLinks() {
    noClasses().that().doNotHaveFullyQualifiedName(Libc.class.getName()).and()
        .areNotAssignableTo(CxxNames.class).and().areNotNestedClasses().should().dependOnClassesThat()
        .belongToAnyOf(Linker.class, SymbolLookup.class).check(CLASSES);
  }

  @Test
  void nothingElseOfTheHouseIsKnown() {
    noClasses().should().dependOnClassesThat().resideInAnyPackage("io.xolotl.decoder..", "io.xolotl.xol..",
        "io.xolotl.cli..", "io.xolotl.bench..", "io.xolotl.fixtures..", "io.xolotl.lab..").check(CLASSES);
  }

  private static ArchCondition<JavaCodeUnit> notMentionNativeTypes() {
    return new ArchCondition<>("not mention java.lang.foreign") {
      @Override
      public void check(JavaCodeUnit unit, ConditionEvents events) {
        boolean mentions = Stream
            .concat(Stream.of(unit.getRawReturnType()), unit.getRawParameterTypes().stream())
            .map(JavaClass::getBaseComponentType).anyMatch(type -> type.getPackageName().equals(NATIVE));
        events.add(new SimpleConditionEvent(unit, !mentions, unit.getFullName()));
      }
    };
  }
}

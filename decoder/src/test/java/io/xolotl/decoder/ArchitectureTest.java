package io.xolotl.decoder;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.methods;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noFields;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noMethods;
import static com.tngtech.archunit.library.Architectures.layeredArchitecture;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaMethod;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.lang.ArchCondition;
import com.tngtech.archunit.lang.ConditionEvents;
import com.tngtech.archunit.lang.SimpleConditionEvent;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.Test;

/** Holds the arrows between the public types, the tables, and the reference with its generated bindings. */
class ArchitectureTest {

  private static final String API = "io.xolotl.decoder";
  private static final String BACKEND = "io.xolotl.decoder.backend";
  private static final String TABLES = "io.xolotl.decoder.tables";
  private static final String REFERENCE = "io.xolotl.decoder.reference";
  private static final String BINDINGS = "io.xolotl.decoder.zydis";

  private static final JavaClasses CLASSES = new ClassFileImporter()
      .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS).importPackages(API);

  /** The product and the reference know what both of them are, and nothing of each other. */
  @Test
  void arrowsLeadDown() {
    layeredArchitecture().consideringOnlyDependenciesInLayers().layer("API").definedBy(API).layer("tables")
        .definedBy(TABLES).layer("reference").definedBy(REFERENCE).layer("bindings").definedBy(BINDINGS)
        .layer("backend").definedBy(BACKEND).whereLayer("API").mayNotBeAccessedByAnyLayer()
        .whereLayer("tables").mayOnlyBeAccessedByLayers("API").whereLayer("reference")
        .mayOnlyBeAccessedByLayers("API").whereLayer("bindings").mayOnlyBeAccessedByLayers("reference")
        .whereLayer("backend").mayOnlyBeAccessedByLayers("API", "tables", "reference").check(CLASSES);
  }

  @Test
  void packagesHaveNoCircles() {
    slices().matching("io.xolotl.(**)").should().beFreeOfCycles().check(CLASSES);
  }

  /** One class leads to Zydis, and is loaded only if somebody asks for it. */
  @Test
  void oneClassKnowsTheReference() {
    noClasses().that().resideInAPackage(API).and().doNotBelongToAnyOf(Reference.class).should()
        .dependOnClassesThat().resideInAnyPackage(REFERENCE, BINDINGS).check(CLASSES);
  }

  @Test
  void theProductCallsNoNativeCode() {
    noClasses().that().resideInAnyPackage(API, BACKEND, TABLES).should().dependOnClassesThat()
        .haveFullyQualifiedName(Linker.class.getName()).check(CLASSES);
  }

  @Test
  void nativeMemoryIsInNoPublicSignatureButTheDecodersInput() {
    methods().that().areDeclaredInClassesThat().resideInAPackage(API).and().arePublic().and()
        .areDeclaredInClassesThat().arePublic().and().areNotDeclaredIn(Decoder.class).should(notMention())
        .check(CLASSES);
    noMethods().that().areDeclaredIn(Decoder.class).and().arePublic().should()
        .haveRawReturnType(MemorySegment.class)
        .check(CLASSES);
  }

  @Test
  void publicTypesHaveNoPublicNativeMemory() {
    noFields().that().areDeclaredInClassesThat().resideInAPackage(API).and()
        .haveRawType(MemorySegment.class).should().bePublic().check(CLASSES);
  }

  private static ArchCondition<JavaMethod> notMention() {
    return new ArchCondition<>("not mention MemorySegment") {
      @Override
      public void check(JavaMethod method, ConditionEvents events) {
        boolean mentions = method.getRawReturnType().isEquivalentTo(MemorySegment.class)
            || method.getRawParameterTypes().stream()
                .anyMatch(type -> type.isEquivalentTo(MemorySegment.class));
        events.add(new SimpleConditionEvent(method, !mentions, method.getFullName()));
      }
    };
  }
}

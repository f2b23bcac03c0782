package io.xolotl.decoder;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.methods;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noFields;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noMethods;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaMethod;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.lang.ArchCondition;
import com.tngtech.archunit.lang.ConditionEvents;
import com.tngtech.archunit.lang.SimpleConditionEvent;
import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.Test;

/** Holds the arrows between the public types, the native layer and the generated bindings. */
class ArchitectureTest {

  private static final String GENERATED = "io.xolotl.decoder.zydis..";

  private static final String NATIVE_LAYER = ".*\\.(Zydis\\w+|NativeInstruction|NativeOperand|Decoder|"
      + "CodeCursor|Instruction)(\\$.*)?";

  private static final JavaClasses CLASSES = new ClassFileImporter()
      .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS).importPackages("io.xolotl.decoder");

  @Test
  void onlyTheNativeLayerTouchesTheBindings() {
    noClasses().that().resideOutsideOfPackage(GENERATED).and()
        .haveNameNotMatching(NATIVE_LAYER).should()
        .dependOnClassesThat()
        .resideInAPackage(GENERATED).check(CLASSES);
  }

  @Test
  void bindingsKnowNothingOfTheDecoder() {
    noClasses().that().resideInAPackage(GENERATED).should().dependOnClassesThat()
        .resideInAPackage("io.xolotl.decoder")
        .check(CLASSES);
  }

  @Test
  void nativeMemoryIsInNoPublicSignatureButTheDecodersInput() {
    methods().that().areDeclaredInClassesThat().resideOutsideOfPackage(GENERATED).and().arePublic().and()
        .areDeclaredInClassesThat().arePublic().and().areNotDeclaredIn(Decoder.class).should(notMention())
        .check(CLASSES);
    noMethods().that().areDeclaredIn(Decoder.class).and().arePublic().should()
        .haveRawReturnType(MemorySegment.class)
        .check(CLASSES);
  }

  @Test
  void publicTypesHaveNoPublicNativeMemory() {
    noFields().that().areDeclaredInClassesThat().resideOutsideOfPackage(GENERATED).and()
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

package io.xolotl.xol;

import static com.tngtech.archunit.base.DescribedPredicate.describe;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.methods;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;
import java.util.List;

/** Which way the arrows point. */
@AnalyzeClasses(packages = "io.xolotl", importOptions = ImportOption.DoNotIncludeTests.class)
class ArchitectureTest {

  @ArchTest
  static final ArchRule PROBES_MAKE_NO_NATIVE_CALLS = noClasses().that().resideInAPackage("io.xolotl.xol..")
      .should()
      .dependOnClassesThat().resideInAnyPackage("java.lang.foreign..", "io.xolotl.decoder.zydis..");

  @ArchTest
  static final ArchRule THE_DECODER_KNOWS_NO_PROCESS = noClasses().that()
      .resideInAPackage("io.xolotl.decoder..").should()
      .dependOnClassesThat().resideInAnyPackage("io.xolotl.ptrace..", "io.xolotl.xol..");

  @ArchTest
  static final ArchRule CONTROL_KNOWS_NO_INSTRUCTION_AND_NO_PROBE = noClasses().that().resideInAPackage(
      "io.xolotl.ptrace..").should().dependOnClassesThat()
      .resideInAnyPackage("io.xolotl.decoder..", "io.xolotl.xol..");

  @ArchTest
  static final ArchRule SYMBOLS_KNOW_NO_PROBE = noClasses().that().resideInAPackage("io.xolotl.xol.elf")
      .should()
      .dependOnClassesThat().resideInAPackage("io.xolotl.xol");

  @ArchTest
  static final ArchRule THE_API_SHOWS_NOTHING_INTERNAL = methods().that().arePublic().and()
      .areDeclaredInClassesThat()
      .resideInAPackage("io.xolotl.xol").and().areDeclaredInClassesThat().arePublic().should()
      .notHaveRawReturnType(
          describe("internal", (JavaClass c) -> c.getPackageName().equals("io.xolotl.xol.elf")))
      .andShould()
      .notHaveRawParameterTypes(describe("internal", (List<JavaClass> types) -> types.stream().anyMatch(c -> c
          .getPackageName().equals("io.xolotl.xol.elf"))));
}

package io.xolotl.xol;

import static com.tngtech.archunit.base.DescribedPredicate.describe;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.fields;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.methods;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.Architectures.layeredArchitecture;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;
import io.xolotl.xol.code.Lease;
import io.xolotl.xol.code.TracerThread;
import io.xolotl.xol.tracee.Tracee;
import java.util.List;
import java.util.Set;

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

  /** Whoever changes a package looks upward only: nothing changes below it. This holds in each module. */
  @ArchTest
  static final ArchRule NO_CIRCLES = slices().matching("io.xolotl.(**)").should().beFreeOfCycles();

  /** The house, from the roof down: docs/engine.md says what lives where. */
  @ArchTest
  static final ArchRule ARROWS_POINT_DOWN = layeredArchitecture().consideringOnlyDependenciesInLayers()
      .layer("api").definedBy("io.xolotl.xol")
      .layer("site").definedBy("io.xolotl.xol.site")
      .layer("displacement").definedBy("io.xolotl.xol.displacement")
      .layer("tracee").definedBy("io.xolotl.xol.tracee")
      .layer("code").definedBy("io.xolotl.xol.code")
      .layer("program").definedBy("io.xolotl.xol.program")
      .layer("elf").definedBy("io.xolotl.xol.elf")
      .whereLayer("api").mayNotBeAccessedByAnyLayer()
      .whereLayer("site").mayOnlyBeAccessedByLayers("api")
      .whereLayer("displacement").mayOnlyBeAccessedByLayers("site", "api")
      .whereLayer("tracee").mayOnlyBeAccessedByLayers("displacement", "site", "api")
      .whereLayer("code").mayOnlyBeAccessedByLayers("tracee", "displacement", "site", "api")
      .whereLayer("program").mayOnlyBeAccessedByLayers("site", "api")
      .whereLayer("elf").mayOnlyBeAccessedByLayers("program", "site", "api");

  /** Phase, pin and detour of a thread: nobody else may set them. */
  @ArchTest
  static final ArchRule ONE_OWNER_OF_PHASE = fields().that().areDeclaredIn(Tracee.class).should().bePrivate();

  /** A pin that is given back in two places is given back twice. */
  @ArchTest
  static final ArchRule ONE_PLACE_UNPINS = noClasses().that().areNotAssignableTo(Tracee.class).should()
      .callMethod(Lease.class, "unpin");

  /**
   * Those that hand work to the tracer thread, each in a way of its own: Session and Sessions by call, the
   * others are handed over with a hit, or are used by the tracer thread and by others (see their comments).
   */
  private static final Set<String> HAND_OVER = Set.of("Session", "Sessions", "ExitHook", "ProbeHit", "Probe",
      "Handlers");

  @ArchTest
  static final ArchRule THE_TRACER_THREAD_HAS_ITS_CLASSES_ALONE = noClasses().that()
      .areNotAnnotatedWith(TracerThread.class)
      .and(describe("hand nothing over", ArchitectureTest::handsNothingOver))
      .should().accessClassesThat().areAnnotatedWith(TracerThread.class);

  private static boolean handsNothingOver(JavaClass c) {
    JavaClass outer = c;
    while (outer.getEnclosingClass().isPresent()) {
      outer = outer.getEnclosingClass().get();
    }
    return !outer.isAnnotatedWith(TracerThread.class) && !HAND_OVER.contains(outer.getSimpleName());
  }

  @ArchTest
  static final ArchRule THE_API_SHOWS_NOTHING_INTERNAL = methods().that().arePublic().and()
      .areDeclaredInClassesThat().resideInAPackage("io.xolotl.xol").and().areDeclaredInClassesThat()
      .arePublic()
      .should().notHaveRawReturnType(describe("internal", ArchitectureTest::isInternal))
      .andShould().notHaveRawParameterTypes(
          describe("internal",
              (List<JavaClass> types) -> types.stream().anyMatch(ArchitectureTest::isInternal)));

  private static boolean isInternal(JavaClass c) {
    return c.getPackageName().startsWith("io.xolotl.xol.");
  }
}

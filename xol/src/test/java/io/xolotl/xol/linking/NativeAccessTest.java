package io.xolotl.xol.linking;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.xolotl.lab.Await;
import io.xolotl.ptrace.Tracer;
import java.io.File;
import java.io.IOException;
import java.lang.module.ModuleFinder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** What a JVM without the flag, or with half of it, is told. */
class NativeAccessTest {

  private static final String FLAG = "--enable-native-access=";
  private static final String PTRACE = "io.xolotl.ptrace";
  private static final String BOTH = "io.xolotl.decoder," + PTRACE;
  private static final String ZYDIS = "-Dxolotl.decoder=zydis";
  private static final String DENIED = " may not call native code: start java with " + FLAG;
  private static final List<String> WELL = List.of("decoder: 0x0: ret", "ptrace: started", "xol: registered");

  /** Xolotl as an application has it: its modules, and what they require. */
  private static ModuleFinder modules() {
    return ModuleFinder.of(ModuleLayer.boot().configuration().modules().stream()
        .filter(module -> module.name().startsWith("io.xolotl.")
            || Set.of("net.fornwall.jelf", "org.tukaani.xz").contains(module.name()))
        .map(module -> Path.of(module.reference().location().orElseThrow())).toArray(Path[]::new));
  }

  private static String path() {
    return String.join(File.pathSeparator, modules().findAll().stream()
        .map(module -> Path.of(module.location().orElseThrow()).toString()).toList());
  }

  private static List<String> onTheModulePath(String... flags) throws Exception {
    var options = new ArrayList<>(List.of(flags));
    options.addAll(List.of("--module-path", path(), "--add-modules", "io.xolotl.xol", "-cp", tests()));
    return attempt(options);
  }

  private static List<String> onTheClassPath(String... flags) throws Exception {
    var options = new ArrayList<>(List.of(flags));
    options.addAll(List.of("-cp", path() + File.pathSeparator + tests()));
    return attempt(options);
  }

  private static String tests() {
    return Path.of("target", "test-classes").toAbsolutePath().toString();
  }

  private static List<String> attempt(List<String> options) throws IOException, InterruptedException {
    var command = new ArrayList<>(
        List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-XX:TieredStopAtLevel=1"));
    command.addAll(options);
    command.add(NativeAccessAttempt.class.getName());
    // What the JVM itself would warn of is among the lines, because nothing may be left for it to warn of.
    Process child = new ProcessBuilder(command).redirectErrorStream(true).start();
    try {
      List<String> lines = new String(child.getInputStream().readAllBytes(), StandardCharsets.UTF_8).lines()
          .toList();
      assertThat(child.waitFor(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS)).isTrue();
      return lines;
    } finally {
      child.destroyForcibly();
    }
  }

  /** The decoder needs no native code. */
  private static List<String> denied(String message) {
    return List.of("decoder: 0x0: ret", "ptrace: NATIVE_ACCESS_DENIED " + message,
        "xol: NATIVE_ACCESS_DENIED " + message);
  }

  @Test
  void withoutTheFlagTheModuleIsNamed() throws Exception {
    assertThat(onTheModulePath()).isEqualTo(denied(PTRACE + DENIED + PTRACE));
    assertThat(onTheModulePath(FLAG + PTRACE)).isEqualTo(WELL);
  }

  @Test
  void theFlagOfTheClassPathIsNotThatOfTheModulePath() throws Exception {
    assertThat(onTheModulePath(FLAG + "ALL-UNNAMED")).isEqualTo(denied(PTRACE + DENIED + PTRACE));
  }

  /** Whoever asks for Zydis is told of both modules at once. */
  @Test
  void zydisNeedsTheFlagForTheDecoderToo() throws Exception {
    assertThat(onTheModulePath(ZYDIS))
        .startsWith("decoder: NATIVE_ACCESS_DENIED io.xolotl.decoder and " + PTRACE + DENIED + BOTH);
    assertThat(onTheModulePath(ZYDIS, FLAG + PTRACE))
        .startsWith("decoder: NATIVE_ACCESS_DENIED io.xolotl.decoder" + DENIED + BOTH);
  }

  @Test
  void onTheClassPathItIsAllUnnamed() throws Exception {
    assertThat(onTheClassPath()).isEqualTo(
        denied("Xolotl on the class path may not call native code: start java with " + FLAG + "ALL-UNNAMED"));
    assertThat(onTheClassPath(FLAG + "ALL-UNNAMED")).isEqualTo(WELL);
  }

  /** A container's plug-in, for instance: the flag is only for modules that the JVM was started with. */
  @Test
  void inALayerOfItsOwnItIsTheController() throws Exception {
    var configuration = ModuleLayer.boot().configuration().resolve(modules(), ModuleFinder.of(),
        Set.of("io.xolotl.xol"));
    ModuleLayer.Controller controller = ModuleLayer.defineModulesWithOneLoader(configuration,
        List.of(ModuleLayer.boot()), ClassLoader.getPlatformClassLoader());
    var tracer = Class
        .forName(controller.layer().findModule("io.xolotl.ptrace").orElseThrow(), Tracer.class.getName())
        .getMethod("start", String.class);
    String message = PTRACE + " may not call native code: "
        + "call enableNativeAccess for each on the ModuleLayer.Controller of their layer";
    assertThatThrownBy(() -> tracer.invoke(null, "tracer")).rootCause().hasMessage(message);
  }
}

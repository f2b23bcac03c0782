package io.xolotl.ptrace;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

/** A JVM in which native access is denied. */
class NativeAccessTest {

  static final class Attempt {

    private Attempt() {}

    public static void main(String[] arguments) throws Exception {
      var registers = new Registers();
      registers.rip(1);
      System.out.println(registers.rip() + " " + WaitStatus.of(0x057f) + " " + new SignalInfo() + " "
          + LaunchRequest.of(List.of("x")).command()
          + " " + (MemoryMapping.of((int) ProcessHandle.current().pid()).isEmpty() ? "no" : "some")
          + " mappings");
      try {
        Tracer.start("t").close();
        System.out.println("started");
      } catch (PtraceException e) {
        System.out.println(e.reason() + " " + e.getMessage());
      }
    }
  }

  @Test
  void typesLoadAndTheTracerNamesTheFlag() {
    List<String> lines = ChildJvm.run(List.of(), List.of("--illegal-native-access=deny"), Attempt.class);
    assertThat(lines).hasSize(2);
    assertThat(lines.getFirst()).isEqualTo("1 Signal[signal=5] SIG0 code 0 address 0x0 [x] some mappings");
    assertThat(lines.getLast()).startsWith("NATIVE_ACCESS_DENIED ")
        .contains("--enable-native-access=ALL-UNNAMED");
  }

  @Test
  void theNamedFlagIsAllItTakes() {
    assertThat(
        ChildJvm.run(List.of(), List.of("--illegal-native-access=deny", "--enable-native-access=ALL-UNNAMED"),
            Attempt.class))
        .last().isEqualTo("started");
  }
}

package io.xolotl.xol;

import io.xolotl.xol.ProbeException.Reason;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;

/** Refuses processes whose code the engine would not execute correctly. */
final class SupportedProcess {

  private static final int EI_CLASS = 4;
  private static final int ELFCLASS32 = 1;

  private SupportedProcess() {}

  static void check(int pid) {
    if (is32Bit(pid)) {
      throw new ProbeException(Reason.UNSUPPORTED_PROCESS,
          "process " + pid + " runs 32-bit code, and only 64-bit code can be probed");
    }
    if (hasShadowStack(pid)) {
      throw new ProbeException(Reason.UNSUPPORTED_PROCESS, "process " + pid
          + " runs with a shadow stack, which emulated calls and returns would not move; start it with "
          + "GLIBC_TUNABLES=glibc.cpu.x86_shstk=off");
    }
  }

  private static boolean is32Bit(int pid) {
    try (InputStream exe = Files.newInputStream(Path.of("/proc/" + pid + "/exe"))) {
      byte[] ident = exe.readNBytes(EI_CLASS + 1);
      return ident.length > EI_CLASS && ident[EI_CLASS] == ELFCLASS32;
    } catch (IOException e) {
      // The process has ended, which the next request finds out, or its program was deleted and is readable no more.
      return false;
    }
  }

  /** {@code x86_Thread_features} of proc_pid_status(5), since Linux 6.6. */
  private static boolean hasShadowStack(int pid) {
    try {
      return Files
          .readAllLines(Path.of("/proc/" + pid + "/status"), java.nio.charset.StandardCharsets.ISO_8859_1)
          .stream()
          .anyMatch(line -> line.startsWith("x86_Thread_features:") && line.contains("shstk"));
    } catch (IOException e) {
      // It has ended, which the next request finds out.
      return false;
    }
  }
}

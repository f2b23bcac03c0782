package io.xolotl.xol.program;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/** Refuses processes whose code the engine would not execute correctly. */
public final class SupportedProcess {

  private static final int EI_CLASS = 4;
  private static final int E_MACHINE = 18;
  private static final int ELFCLASS32 = 1;
  private static final int EM_X86_64 = 62;

  private SupportedProcess() {}

  /** Why a process cannot be probed; empty if it can. */
  public static Optional<String> refusal(int pid) {
    if (isX32(pid)) {
      return Optional.of("process " + pid
          + " runs a program of the x32 ABI, and only x86-64 and i386 code can be probed");
    }
    if (hasShadowStack(pid)) {
      return Optional.of("process " + pid
          + " runs with a shadow stack, which emulated calls and returns would not move; start it with "
          + "GLIBC_TUNABLES=glibc.cpu.x86_shstk=off");
    }
    return Optional.empty();
  }

  /** 64-bit code with 32-bit addresses and system calls of its own. */
  private static boolean isX32(int pid) {
    try (InputStream exe = Files.newInputStream(Path.of("/proc/" + pid + "/exe"))) {
      byte[] header = exe.readNBytes(E_MACHINE + 1);
      return header.length > E_MACHINE && header[EI_CLASS] == ELFCLASS32 && header[E_MACHINE] == EM_X86_64;
    } catch (IOException e) {
      // The process has ended, which the next request finds out, or its program was deleted and is readable
      // no more.
      return false;
    }
  }

  /** {@code x86_Thread_features} of proc_pid_status(5), since Linux 6.6. */
  private static boolean hasShadowStack(int pid) {
    try {
      return Files
          .readAllLines(Path.of("/proc/" + pid + "/status"), StandardCharsets.ISO_8859_1)
          .stream()
          .anyMatch(line -> line.startsWith("x86_Thread_features:") && line.contains("shstk"));
    } catch (IOException e) {
      // It has ended, which the next request finds out.
      return false;
    }
  }
}

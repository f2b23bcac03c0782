package io.xolotl.ptrace;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * The program that a process executes, as the kernel tells of it. Later the process may make itself
 * undumpable, and then nobody but the privileged may open anything of it any more.
 *
 * <p>So what is needed is read when the process is attached to, and at each exec, while that is permitted for
 * certain, and kept. A forked child has its creator's.
 *
 * <p>Immutable.
 */
final class ProgramImage {

  /** A process was not looked at yet. */
  static final ProgramImage UNKNOWN = new ProgramImage(Abi.X86_64, new byte[0]);

  private final Abi abi;
  private final byte[] auxiliaryVector;

  private ProgramImage(Abi abi, byte[] auxiliaryVector) {
    this.abi = abi;
    this.auxiliaryVector = auxiliaryVector;
  }

  /** The program that is in a memory. */
  static ProgramImage of(ProcessMemory memory) {
    return new ProgramImage(Abi.ofProgram(memory.owner()), readAuxiliaryVector(memory.owner()));
  }

  private static byte[] readAuxiliaryVector(int tid) {
    try {
      return Files.readAllBytes(Path.of("/proc/" + tid + "/auxv"));
    } catch (IOException e) {
      // It has ended, which the next request finds out, or is not accessible.
      return new byte[0];
    }
  }

  Abi abi() {
    return abi;
  }

  /** A copy of what the kernel told the program; empty if that could not be read. */
  byte[] auxiliaryVector() {
    return auxiliaryVector.clone();
  }
}

package io.xolotl.lab.oracle;

import io.xolotl.lab.ExitStatus;

/** How a piece of code ended. */
public sealed interface Ending {

  /**
   * It came out behind its last instruction.
   *
   * @param rip the address there, of this case unless it jumped to another one's
   */
  record Exited(long rip) implements Ending {
    @Override
    public String toString() {
      return "ended at " + Hex.of(rip);
    }
  }

  /**
   * It raised a signal. What the kernel says besides, trap, error and cr2, is 0 unless the signal stands for
   * a fault.
   *
   * @param number of the signal
   * @param code {@code si_code}
   * @param address {@code si_addr}
   * @param rip as a handler of the program sees it
   * @param trap number of the CPU's exception
   * @param error code that the CPU gave with it
   * @param cr2 address of a page fault
   */
  record Signalled(int number, int code, long address, long rip, long trap, long error,
      long cr2) implements Ending {
    @Override
    public String toString() {
      return "signal %d, code %d, address 0x%x, rip 0x%x, trap %d, error 0x%x, cr2 0x%x".formatted(number,
          code,
          address, rip, trap, error, cr2);
    }
  }

  /** It did not come out within seconds. */
  record Hung() implements Ending {
    @Override
    public String toString() {
      return "did not end";
    }
  }

  /**
   * The process that ran it has died.
   *
   * @param how it died
   */
  record Died(ExitStatus how) implements Ending {
    @Override
    public String toString() {
      return "killed the process: " + how;
    }
  }
}

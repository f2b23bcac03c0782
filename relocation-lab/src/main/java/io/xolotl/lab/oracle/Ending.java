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

  /** How the code ended whose result is in a record. */
  static Ending of(byte[] record) {
    return switch (Layout.word(record, Layout.OUT_OUTCOME)) {
      case Layout.OUTCOME_EXITED -> new Exited(Layout.quad(record, Layout.OUT_RIP));
      case Layout.OUTCOME_SIGNAL -> signalled(record);
      case Layout.OUTCOME_HANG -> new Hung();
      default -> throw new IllegalStateException("the oracle has not executed a case");
    };
  }

  private static Ending signalled(byte[] record) {
    int number = Layout.word(record, Layout.OUT_SIGNAL);
    int code = Layout.word(record, Layout.OUT_CODE);
    // What a handler finds there with other signals is left from an earlier fault.
    boolean fault = switch (number) {
      case Signal.SIGILL, Signal.SIGBUS, Signal.SIGFPE, Signal.SIGSEGV -> true;
      default -> false;
    };
    long trap = fault ? Layout.quad(record, Layout.OUT_TRAP) : 0;
    return new Signalled(number, code, Layout.quad(record, Layout.OUT_ADDRESS),
        Layout.quad(record, Layout.OUT_RIP), trap, fault ? Layout.quad(record, Layout.OUT_ERROR) : 0,
        trap == Signal.PAGE_FAULT ? Layout.quad(record, Layout.OUT_CR2) : 0);
  }
}

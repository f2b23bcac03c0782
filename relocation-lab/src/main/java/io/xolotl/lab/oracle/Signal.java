package io.xolotl.lab.oracle;

/** Numbers of signals and of the CPU's exceptions, from signal(7) and the Intel SDM. */
final class Signal {

  static final int SIGILL = 4;
  static final int SIGTRAP = 5;
  static final int SIGBUS = 7;
  static final int SIGFPE = 8;
  static final int SIGSEGV = 11;
  static final int SIGSYS = 31;

  /** The code of a SIGTRAP that the trap flag raises. */
  static final int TRAP_TRACE = 2;

  static final int PAGE_FAULT = 14;

  private Signal() {}
}

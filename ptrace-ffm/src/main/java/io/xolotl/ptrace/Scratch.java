package io.xolotl.ptrace;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * Native memory for the arguments of a tracer thread's calls: an arena a call would cost as much as the call.
 */
final class Scratch {

  final MemorySegment state;
  final MemorySegment status;
  final MemorySegment registers;
  /** Room for as many as PTRACE_PEEKSIGINFO is asked for at once. */
  final MemorySegment siginfo;
  final MemorySegment word;
  /** A {@code struct iovec}. */
  final MemorySegment vector;
  /** A {@code struct ptrace_peeksiginfo_args}. */
  final MemorySegment peek;
  /** A {@code struct ptrace_rseq_configuration}. */
  final MemorySegment rseq;
  /** A {@code struct ptrace_sud_config}. */
  final MemorySegment dispatch;
  /** Room for the longest seccomp filter. */
  final MemorySegment filter;
  /** Room for the largest XSAVE state there is (AMX: 11 KiB). */
  final MemorySegment xstate;
  /** A {@code struct rseq_cs}. */
  final byte[] sequence = new byte[RestartableSequence.BYTES];
  /** The name of a file of {@code /proc}. */
  final MemorySegment path;
  /** What is read from it. */
  final MemorySegment file;

  Scratch(Arena arena) {
    state = arena.allocate(Libc.callState());
    status = arena.allocate(JAVA_INT);
    registers = arena.allocate(Registers.BYTES, 8);
    siginfo = arena.allocate(SignalInfo.BYTES * 8L, 8);
    word = arena.allocate(JAVA_LONG);
    vector = arena.allocate(16, 8);
    peek = arena.allocate(16, 8);
    rseq = arena.allocate(24, 8);
    dispatch = arena.allocate(32, 8);
    path = arena.allocate(64);
    file = arena.allocate(4096);
    filter = arena.allocate((long) SeccompFilter.MOST_INSTRUCTIONS * SeccompFilter.INSTRUCTION_BYTES, 8);
    xstate = arena.allocate(32 << 10, 64);
  }
}

package io.xolotl.lab.oracle;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * What one pair has come to. Numbers are of states, from each of which the original and its relocated code
 * were executed.
 *
 * @param digest of what the original has done; 0 if it does something else each time
 * @param states from which the two were executed
 * @param completed the original came out
 * @param sigill it raised this signal, and so on
 * @param sigtrap see there
 * @param sigbus see there
 * @param sigfpe see there
 * @param sigsegv see there
 * @param sigsys it made a system call
 * @param hangs it did not come out within milliseconds
 * @param differences the two have differed
 * @param dropped so many differences more than could be noted
 * @param transientOnes the two have differed, and not when they were executed again
 * @param varying the original differs from itself
 * @param otherFault an indirect call has two faults, and the relocated code the other one
 */
public record PairTally(long digest, int states, int completed, int sigill, int sigtrap, int sigbus,
    int sigfpe, int sigsegv, int sigsys, int hangs, int differences, int dropped, int transientOnes,
    int varying, int otherFault) {

  static final PairTally NONE = new PairTally(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);

  static PairTally read(MemorySegment memory, long at) {
    long signals = at + Layout.TALLY_SIGNALS;
    return new PairTally(memory.get(ValueLayout.JAVA_LONG, at + Layout.TALLY_DIGEST),
        word(memory, at + Layout.TALLY_PAIRS), word(memory, at + Layout.TALLY_COMPLETED),
        word(memory, signals), word(memory, signals + 4), word(memory, signals + 8),
        word(memory, signals + 12), word(memory, signals + 16), word(memory, signals + 20),
        word(memory, at + Layout.TALLY_HANGS), word(memory, at + Layout.TALLY_DIFFERENCES),
        word(memory, at + Layout.TALLY_DROPPED), word(memory, at + Layout.TALLY_TRANSIENT),
        word(memory, at + Layout.TALLY_VARYING), word(memory, at + Layout.TALLY_OTHER_FAULT));
  }

  private static int word(MemorySegment memory, long at) {
    return memory.get(ValueLayout.JAVA_INT, at);
  }
}

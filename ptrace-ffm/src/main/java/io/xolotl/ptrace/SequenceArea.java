package io.xolotl.ptrace;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.jspecify.annotations.Nullable;

/**
 * What one thread has registered with rseq(2): the {@code struct rseq} in its memory, which names the
 * {@link RestartableSequence} that it is in. Where that struct is only a stopped thread can be asked; what it
 * names can be read of one that runs, too.
 *
 * <p>So the address is kept from the last time that somebody asked while the thread was stopped. What it
 * registers while it runs is not seen.
 *
 * <p>Tracer thread only.
 */
final class SequenceArea {

  /** Where {@code struct rseq} has the address of a record. */
  private static final int RSEQ_CS = 8;

  private final ThreadRequests requests;
  private final ProcessMemory memory;
  /** Address of the {@code struct rseq} when somebody last asked, or 0. */
  private long address;
  private int signature;

  SequenceArea(ThreadRequests requests, ProcessMemory memory) {
    this.requests = requests;
    this.memory = memory;
  }

  /** Asks the kernel of the thread, which is stopped. */
  void lookUp() {
    Scratch s = requests.scratch();
    if (requests.attempt(s, Ptrace.GET_RSEQ_CONFIGURATION, s.rseq.byteSize(), s.rseq.address()) < 0) {
      // EIO: a kernel before 5.13, or one without restartable sequences. ESRCH is told by the next request.
      address = 0;
    } else {
      // struct ptrace_rseq_configuration: u64 rseq_abi_pointer; u32 rseq_abi_size; u32 signature
      address = s.rseq.get(JAVA_LONG, 0);
      signature = s.rseq.get(JAVA_INT, 12);
    }
  }

  /** The sequence that the struct names; null if it names none, or the kernel would refuse it. */
  @Nullable
  RestartableSequence sequence() {
    byte[] record = requests.scratch().sequence;
    if (address == 0 || memory.tryRead(address + RSEQ_CS, record, 0, Long.BYTES) < Long.BYTES) {
      return null;
    }
    long named = ByteBuffer.wrap(record).order(ByteOrder.LITTLE_ENDIAN).getLong(0);
    return named == 0 || memory.tryRead(named, record, 0, record.length) < record.length
        ? null
        : RestartableSequence.of(record);
  }

  /** Returns true if abort handlers have another signature than {@link RestartableSequence#SIGNATURE}. */
  boolean hasOwnSignature() {
    return address != 0 && signature != RestartableSequence.SIGNATURE;
  }
}

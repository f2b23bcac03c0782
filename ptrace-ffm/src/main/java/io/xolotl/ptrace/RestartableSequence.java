package io.xolotl.ptrace;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.jspecify.annotations.Nullable;

/**
 * A critical section of rseq(2): a thread that is interrupted in it, or moved to another CPU, goes on at its
 * abort handler. Only rip tells the kernel that a thread is in it (rseq_ip_fixup() in kernel/rseq.c); one
 * that is interrupted elsewhere, as in the copy of a displaced instruction, is not aborted, and the kernel
 * forgets that it had begun.
 *
 * @param start address of the first instruction, {@code start_ip}
 * @param length in bytes, {@code post_commit_offset}; not negative
 * @param abortHandler address of the abort handler, which is outside
 */
public record RestartableSequence(long start, long length, long abortHandler) {

  /**
   * Size in bytes of a record, {@code struct rseq_cs} of include/uapi/linux/rseq.h, the same for 64-bit and
   * 32-bit code.
   */
  public static final int BYTES = 32;

  /** Where a record has the address of the first instruction. */
  public static final int START = 8;
  /** Where a record has the length. */
  public static final int LENGTH = 16;
  /** Where a record has the address of the abort handler. */
  public static final int ABORT_HANDLER = 24;

  /** RSEQ_SIG of x86, which stands in the four bytes in front of each abort handler. */
  public static final int SIGNATURE = 0x53053053;

  /**
   * Makes a section from the fields of its record; null if the kernel would not accept them, but kill the
   * program (rseq_get_rseq_cs() in kernel/rseq.c).
   *
   * @return the section, or null
   */
  public static @Nullable RestartableSequence of(long start, long length, long abortHandler) {
    return length < 0 || start < 0 || start + length < 0
        || Long.compareUnsigned(abortHandler - start, length) < 0
            ? null
            : new RestartableSequence(start, length, abortHandler);
  }

  /**
   * Reads a record.
   *
   * @param record {@link #BYTES} bytes
   * @return null if the kernel would refuse it
   */
  public static @Nullable RestartableSequence of(byte[] record) {
    ByteBuffer fields = ByteBuffer.wrap(record).order(ByteOrder.LITTLE_ENDIAN);
    return fields.getInt(0) != 0
        ? null
        : of(fields.getLong(START), fields.getLong(LENGTH), fields.getLong(ABORT_HANDLER));
  }

  /** {@return the address of the first byte behind it} */
  public long end() {
    return start + length;
  }

  /**
   * {@return true if a thread is in it that is about to execute an instruction at an address}
   *
   * @param address of the instruction
   */
  public boolean contains(long address) {
    return Long.compareUnsigned(address - start, length) < 0;
  }
}

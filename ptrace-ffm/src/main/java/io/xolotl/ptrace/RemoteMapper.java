package io.xolotl.ptrace;

import io.xolotl.ptrace.PtraceException.Reason;

/**
 * Maps and unmaps memory of a process. Only the process itself can do that, and what it maps has to be within
 * reach of an address while its other threads map too.
 *
 * <p>So one of its threads makes the calls, and asks for exactly one of the {@link Gaps}, nearest first; the
 * kernel refuses what somebody else has taken since.
 *
 * <p>Tracer thread only. It has no state of its own: what is mapped, its caller knows.
 */
final class RemoteMapper {

  private static final int MAP_PRIVATE_ANONYMOUS_FIXED_NOREPLACE = 0x2 | 0x20 | 0x100000;
  private static final int EEXIST = 17;

  private final TracedProcess process;

  RemoteMapper(TracedProcess process) {
    this.process = process;
  }

  /**
   * Maps private anonymous memory.
   *
   * @see TracedProcess#mapNear
   */
  long mapNear(TracedThread thread, long near, long reach, long size, int protection) {
    Abi abi = process.abi();
    for (long candidate : Gaps.near(process.mappings(), near, reach, size, abi.addressLimit())) {
      long result = thread.systemCall(abi.mmap(), candidate, size, protection,
          MAP_PRIVATE_ANONYMOUS_FIXED_NOREPLACE, -1, 0);
      if (result == candidate) {
        return candidate;
      }
      int errno = (int) -result;
      if (result >= 0) {
        // A kernel before 4.17 takes MAP_FIXED_NOREPLACE for a mere hint.
        unmap(thread, result, size);
      } else if (errno != EEXIST) {
        // EEXIST: another thread was faster; the next gap then. Everything else would fail there too.
        throw failed("mmap of " + size + " bytes at", candidate, errno);
      }
    }
    return 0;
  }

  /**
   * Unmaps memory.
   *
   * @see TracedProcess#unmap
   */
  void unmap(TracedThread thread, long address, long size) {
    long result = thread.systemCall(process.abi().munmap(), address, size);
    if (result != 0) {
      throw failed("munmap of", address, (int) -result);
    }
  }

  private PtraceException failed(String call, long address, int errno) {
    return new PtraceException(Reason.REMOTE_CALL_FAILED, errno, call + " 0x" + Long.toHexString(address)
        + " in " + process + " failed with " + Errno.name(errno));
  }
}

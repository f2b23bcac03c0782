package io.xolotl.ptrace;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;

/**
 * A seccomp filter of a thread: a program of the classic BPF, in the dialect that seccomp_check_filter() in
 * kernel/seccomp.c lets pass. The kernel has verified it: jumps go forward and stay inside, the last
 * instruction returns, memory is written before it is read, and no constant divides by 0 or shifts by more
 * than 31.
 */
final class SeccompFilter {

  /** Size of a {@code struct sock_filter}: code 2, jt 1, jf 1, k 4 (include/uapi/linux/filter.h). */
  static final int INSTRUCTION_BYTES = 8;

  /** {@code BPF_MAXINSNS} of include/uapi/linux/bpf_common.h. */
  static final int MOST_INSTRUCTIONS = 4096;

  // Actions, from include/uapi/linux/seccomp.h.
  static final int LOG = 0x7ffc_0000;
  static final int ALLOW = 0x7fff_0000;
  private static final int ACTION = 0xffff_0000;

  private static final int MEMORY_WORDS = 16;
  private static final int DATA_BYTES = 64;

  /**
   * What a filter is asked about, {@code struct seccomp_data}.
   *
   * @param number of the system call
   * @param architecture an {@code AUDIT_ARCH} of include/uapi/linux/audit.h
   * @param ip address behind the system call instruction
   * @param arguments six, whether the call has so many or not
   */
  record Call(int number, int architecture, long ip, long... arguments) {

    int word(int offset) {
      return switch (offset) {
        case 0 -> number;
        case 4 -> architecture;
        case 8, 12 -> half(ip, offset);
        default -> half(arguments[(offset - 16) / 8], offset);
      };
    }

    private static int half(long value, int offset) {
      return (int) (value >>> (offset & 4) * 8);
    }
  }

  /** An instruction a word: its code in bits 0 to 15, jt in 16 to 23, jf in 24 to 31, k above. */
  private final long[] program;

  /**
   * Takes a filter as the kernel hands it out.
   *
   * @param instructions {@code struct sock_filter}, one after the other
   */
  SeccompFilter(byte[] instructions) {
    program = new long[instructions.length / INSTRUCTION_BYTES];
    ByteBuffer.wrap(instructions).order(ByteOrder.LITTLE_ENDIAN).asLongBuffer().get(program);
  }

  /**
   * The filters of a thread; none if it has none, or they may not be read or the kernel has not kept them
   * (EMEDIUMTYPE, or EINVAL without CONFIG_CHECKPOINT_RESTORE). Tracer thread only.
   */
  static List<SeccompFilter> of(ThreadRequests requests) {
    Scratch s = requests.scratch();
    var filters = new ArrayList<SeccompFilter>();
    while (true) {
      long length = requests.attempt(s, Ptrace.SECCOMP_GET_FILTER, filters.size(), s.filter.address());
      if (length >= 0) {
        filters.add(new SeccompFilter(s.filter.asSlice(0, length * INSTRUCTION_BYTES).toArray(JAVA_BYTE)));
      } else if (requests.isGone() || Libc.errno(s.state) == Libc.ESRCH) {
        throw PtraceException.ofRequest(Ptrace.SECCOMP_GET_FILTER, requests.tid(), Libc.ESRCH);
      } else {
        // ENOENT: these are all. Where one cannot be read the others say nothing.
        return Libc.errno(s.state) == Libc.ENOENT ? filters : List.of();
      }
    }
  }

  /**
   * Returns true if a thread with these filters, all that it has, makes a call and does not notice: where
   * filters disagree the action with the lowest number, signed, is taken (seccomp_run_filters() in
   * kernel/seccomp.c). What a later kernel lets filters do, and this does not know, allows nothing.
   */
  static boolean allow(List<SeccompFilter> filters, Call call) {
    int taken = ALLOW;
    try {
      for (SeccompFilter filter : filters) {
        taken = Math.min(taken, filter.run(call) & ACTION);
      }
    } catch (IllegalArgumentException unknown) {
      return false;
    }
    return taken == ALLOW || taken == LOG;
  }

  /**
   * Runs the filter; returns an action with its data, as the kernel gets it.
   *
   * @throws IllegalArgumentException for an instruction that no filter had when this was written
   */
  int run(Call call) {
    int[] memory = new int[MEMORY_WORDS];
    int a = 0;
    int x = 0;
    for (int pc = 0; pc < program.length; pc++) {
      int code = (int) program[pc] & 0xffff;
      int k = (int) (program[pc] >>> 32);
      int operand = (code & 0x08) == 0 ? k : x;
      switch (code & 0x07) {
        // BPF_LD
        case 0 -> a = (code & 0xe0) == 0x20 ? call.word(k) : loaded(code, k, memory);
        // BPF_LDX
        case 1 -> x = loaded(code, k, memory);
        // BPF_ST
        case 2 -> memory[k] = a;
        // BPF_STX
        case 3 -> memory[k] = x;
        // BPF_ALU
        case 4 -> {
          if (operand == 0 && (code & 0xf0) == 0x30) {
            // Division by x = 0 ends the program with 0 (bpf_convert_filter() in net/core/filter.c).
            return 0;
          }
          a = computed(code, a, operand);
        }
        // BPF_JMP
        case 5 -> pc += (code & 0xf0) == 0
            ? k
            : (int) (program[pc] >>> (isTrue(code, a, operand) ? 16 : 24)) & 0xff;
        // BPF_RET
        case 6 -> {
          return (code & 0x18) == 0 ? k : a;
        }
        // BPF_MISC: BPF_TAX, BPF_TXA
        default -> {
          if ((code & 0x80) == 0) {
            x = a;
          } else {
            a = x;
          }
        }
      }
    }
    throw new IllegalArgumentException("a filter that does not return");
  }

  /** BPF_IMM, BPF_MEM and BPF_LEN. */
  private static int loaded(int code, int k, int[] memory) {
    return switch (code & 0xe0) {
      case 0x00 -> k;
      case 0x60 -> memory[k];
      case 0x80 -> DATA_BYTES;
      default -> throw unknown(code);
    };
  }

  private static int computed(int code, int a, int operand) {
    return switch (code & 0xf0) {
      case 0x00 -> a + operand;
      case 0x10 -> a - operand;
      case 0x20 -> a * operand;
      case 0x30 -> Integer.divideUnsigned(a, operand);
      case 0x40 -> a | operand;
      case 0x50 -> a & operand;
      // The CPU takes five bits of a distance, as Java does.
      case 0x60 -> a << operand;
      case 0x70 -> a >>> operand;
      case 0x80 -> -a;
      case 0xa0 -> a ^ operand;
      default -> throw unknown(code);
    };
  }

  private static boolean isTrue(int code, int a, int operand) {
    return switch (code & 0xf0) {
      case 0x10 -> a == operand;
      case 0x20 -> Integer.compareUnsigned(a, operand) > 0;
      case 0x30 -> Integer.compareUnsigned(a, operand) >= 0;
      case 0x40 -> (a & operand) != 0;
      default -> throw unknown(code);
    };
  }

  private static IllegalArgumentException unknown(int code) {
    return new IllegalArgumentException("no instruction of a seccomp filter: 0x" + Integer.toHexString(code));
  }
}

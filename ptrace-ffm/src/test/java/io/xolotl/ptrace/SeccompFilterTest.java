package io.xolotl.ptrace;

import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.ptrace.SeccompFilter.Call;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Random filters decide of random system calls what the kernel decides when they are made. */
class SeccompFilterTest {

  private static final int AUDIT_ARCH_X86_64 = 0xc000_003e;
  /** Below it the calls of the program that makes them: all filters allow these. */
  private static final int FIRST_NUMBER = 1000;
  private static final int ENOSYS = 38;
  private static final int SIGSYS = 31;
  private static final int MOST_ERRNO = 4095;
  /**
   * Those of SECCOMP_RET that no signal, log or listener is needed for, and an action that the kernel does
   * not know.
   */
  private static final int[] ACTIONS = {0x7fff_0000, 0x7fff_0000, 0x0005_0000, 0x0005_0000, 0x0003_0000,
      0x8000_0000, 0, 0x7ffd_0000};

  private final Random random = new Random(11);

  @Test
  void decideAsTheKernelDoes(@TempDir Path directory) throws IOException {
    Process kernel = new ProcessBuilder(CProgram.build(directory, "filters", "-no-pie").toString())
        .redirectError(ProcessBuilder.Redirect.INHERIT).start();
    try (BufferedReader answers = kernel.inputReader();
        var questions = new PrintWriter(kernel.outputWriter(), true)) {
      long behind = Long.parseLong(answers.readLine().substring("ready ".length()), 16);
      int allowed = 0;
      for (int round = 0; round < 3000; round++) {
        List<byte[]> filters = new ArrayList<>();
        for (int i = random.nextInt(3); i >= 0; i--) {
          filters.add(filter());
        }
        var call = new Call(FIRST_NUMBER + random.nextInt(20), AUDIT_ARCH_X86_64, behind,
            LongStream.generate(this::value).limit(6).toArray());
        var line = new StringBuilder(Integer.toHexString(call.number()));
        LongStream.of(call.arguments())
            .forEach(argument -> line.append(' ').append(Long.toHexString(argument)));
        filters.forEach(filter -> line.append(' ').append(HexFormat.of().formatHex(filter)));
        questions.println(line);
        String expected = expected(filters, call);
        assertThat(answers.readLine()).as("round %d: %s", round, line).isEqualTo(expected);
        boolean allow = SeccompFilter.allow(filters.stream().map(SeccompFilter::new).toList(), call);
        if (allow) {
          assertThat(expected).as("round %d: %s", round, line).isEqualTo("returns " + -ENOSYS);
          allowed++;
        }
      }
      // Neither always nor never.
      assertThat(allowed).isBetween(100, 1500);
    } finally {
      kernel.destroyForcibly();
    }
  }

  /** As __seccomp_filter() in kernel/seccomp.c acts on what the filters return, the newest first. */
  private static String expected(List<byte[]> filters, Call call) {
    int taken = 0x7fff_0000;
    for (byte[] filter : filters.reversed()) {
      int result = new SeccompFilter(filter).run(call);
      taken = (result & 0xffff_0000) < (taken & 0xffff_0000) ? result : taken;
    }
    int data = taken & 0xffff;
    return switch (taken & 0xffff_0000) {
      case 0x7fff_0000, 0x7ffc_0000, 0x7ff0_0000, 0x7fc0_0000 -> "returns " + -ENOSYS;
      case 0x0005_0000 -> "returns " + -Math.min(data, MOST_ERRNO);
      case 0x0003_0000 -> "traps " + data;
      default -> "killed " + SIGSYS;
    };
  }

  private long value() {
    return switch (random.nextInt(4)) {
      case 0 -> random.nextInt(4);
      case 1 -> -1 - random.nextInt(4);
      case 2 -> random.nextInt();
      default -> random.nextLong();
    };
  }

  /**
   * A filter that computes something of what it may read, and shows it by an errno at last if it gets there.
   */
  private byte[] filter() {
    var program = new ArrayList<long[]>();
    // LD [0]; JGE #1000, 1, 0; RET ALLOW
    program.add(new long[]{0x20, 0, 0, 0});
    program.add(new long[]{0x35, 1, 0, FIRST_NUMBER});
    program.add(new long[]{0x06, 0, 0, 0x7fff_0000});
    for (int i = 0; i < 4; i++) {
      // LD #k; ST M[i]
      program.add(new long[]{0x00, 0, 0, value()});
      program.add(new long[]{0x02, 0, 0, i});
    }
    program.add(new long[]{0x01, 0, 0, value()});
    int length = random.nextInt(30);
    for (int i = 0; i < length; i++) {
      program.add(instruction(length - i - 1));
    }
    if (random.nextInt(2) > 0) {
      // AND #0xfff; OR #ERRNO; RET A
      program.add(new long[]{0x54, 0, 0, 0xfff});
      program.add(new long[]{0x44, 0, 0, 0x0005_0000});
      program.add(new long[]{0x16, 0, 0, 0});
    } else {
      program.add(new long[]{0x06, 0, 0, ACTIONS[random.nextInt(ACTIONS.length)] | random.nextInt(0x1_0000)});
    }
    ByteBuffer bytes = ByteBuffer.allocate(program.size() * SeccompFilter.INSTRUCTION_BYTES)
        .order(ByteOrder.LITTLE_ENDIAN);
    for (long[] each : program) {
      bytes.putShort((short) each[0]).put((byte) each[1]).put((byte) each[2]).putInt((int) each[3]);
    }
    return bytes.array();
  }

  /** Code, jt, jf, k. */
  private long[] instruction(int behind) {
    long x = random.nextInt(2) * 0x08L;
    return switch (random.nextInt(12)) {
      case 0, 1, 2 -> new long[]{0x20, 0, 0, random.nextInt(16) * 4L};
      case 3 -> new long[]{random.nextInt(2), 0, 0, value()};
      case 4 -> new long[]{0x60 + random.nextInt(2), 0, 0, random.nextInt(4)};
      case 5 -> new long[]{0x80 + random.nextInt(2), 0, 0, 0};
      case 6 -> new long[]{0x02 + random.nextInt(2), 0, 0, random.nextInt(4)};
      case 7 -> new long[]{random.nextInt(2) * 0x80 + 0x07, 0, 0, 0};
      case 8, 9 -> {
        int operation = new int[]{0x00, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x80, 0xa0}[random
            .nextInt(10)];
        long k = switch (operation) {
          case 0x30 -> value() | 1;
          case 0x60, 0x70 -> random.nextInt(32);
          default -> value();
        };
        yield operation == 0x80 ? new long[]{0x84, 0, 0, 0} : new long[]{0x04 + operation + x, 0, 0, k};
      }
      case 10 -> random.nextInt(8) == 0
          ? new long[]{0x06, 0, 0, ACTIONS[random.nextInt(ACTIONS.length)] | random.nextInt(0x1_0000)}
          : new long[]{0x05, 0, 0, random.nextInt(behind + 1)};
      default -> new long[]{0x05 + 0x10 * (1 + random.nextInt(4)) + x, random.nextInt(behind + 1),
          random.nextInt(behind + 1), value()};
    };
  }
}

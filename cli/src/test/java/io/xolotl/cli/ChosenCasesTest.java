package io.xolotl.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.lab.oracle.Case;
import io.xolotl.lab.oracle.Comparison;
import io.xolotl.lab.oracle.Displacer;
import io.xolotl.lab.oracle.Ending;
import io.xolotl.lab.oracle.MachineState;
import io.xolotl.lab.oracle.Oracle;
import io.xolotl.lab.oracle.Region;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Cases that were different once, or that chance does not find: each does the same in place and by each
 * technique.
 */
class ChosenCasesTest {

  private static final int RAX = 0;
  private static final int RCX = 1;
  private static final int RSP = MachineState.RSP;
  private static final int RSI = 6;
  private static final int RDI = 7;
  private static final long AC = 0x4_0000;
  private static final long TF = 0x100;
  private static final long CODE = Case.HIGH_CODE + 0x80;

  private static Oracle oracle;

  @BeforeAll
  static void start() {
    oracle = Oracle.start();
  }

  @AfterAll
  static void end() {
    oracle.close();
  }

  private static List<byte[]> code(String instructions) {
    return Arrays.stream(instructions.split(", ")).map(i -> HexFormat.of().parseHex(i.replace(" ", "")))
        .toList();
  }

  /**
   * Asserts that a case is the same by each technique, and displaced by one at least; returns how it ends.
   */
  private static Ending assertSame(Case subject) {
    Ending ending = null;
    for (Map.Entry<String, Displacer> technique : FuzzTest.byEachTechnique().entrySet()) {
      Comparison comparison = oracle.compare(List.of(subject), technique.getValue()).getFirst();
      switch (comparison) {
        case Comparison.Same same -> ending = same.result().ending();
        case Comparison.NotDisplaced(_, var refusal) ->
          assertThat(refusal.kind()).as("%s: %s", subject, refusal).isEqualTo(Displacer.Kind.NOT_APPLICABLE);
        case Comparison.Unrepeatable unrepeatable -> throw new AssertionError(unrepeatable);
        case Comparison.Different different ->
          throw new AssertionError(technique.getKey() + ", " + different);
      }
    }
    assertThat(ending).as("%s", subject).isNotNull();
    return ending;
  }

  private static MachineState with(MachineState state, Region region, int offset, long value) {
    byte[] content = state.memory(region);
    ByteBuffer.wrap(content).order(ByteOrder.LITTLE_ENDIAN).putLong(offset, value);
    return state.withMemory(region, content);
  }

  /** pause with REX.B is xchg; 0f 0d with a register is invalid on AMD CPUs. */
  @ParameterizedTest
  @ValueSource(strings = {"f3 41 90", "f3 49 90", "f3 48 90", "41 90", "66 41 90", "0f 0d c5", "0f 1f c0"})
  void whatLooksLikeANop(String instruction) {
    MachineState state = MachineState.PLAIN.withGeneral(RAX, 0x1_0000_0007L).withGeneral(8, 0x2_0000_0009L);
    assertSame(Case.of(code(instruction), state));
  }

  /** Null selectors other than 0, and a base that is no user address: ptrace refuses to set those. */
  @ParameterizedTest
  @ValueSource(strings = {"8e d8, 50", "8e c0, 50", "8e e0, 90", "8e e8, ff e1", "f3 48 0f ae d2, 50",
      "f3 48 0f ae da, 90"})
  void segmentsThatPtraceRefusesToSet(String instructions) {
    MachineState state = MachineState.PLAIN.withGeneral(RAX, 1).withGeneral(RCX, CODE + 0x40)
        .withGeneral(2, 0xffff_8000_0000_0000L);
    assertSame(Case.of(code(instructions), state));
  }

  /** With alignment checks the CPU faults, and so must what is emulated. */
  @ParameterizedTest
  @ValueSource(strings = {"c3", "c2 08 00", "50", "54", "9c", "66 9c", "9d", "66 9d", "e8 00 00 00 00",
      "ff d1", "ff 24 24",
      "ff 14 24", "ff 64 24 03"})
  void alignmentChecks(String instruction) {
    long middle = Region.STACK.address() + Region.BYTES / 2;
    for (long rsp : new long[]{middle, middle + 1, middle + 2, middle + 4}) {
      assertSame(Case.of(code(instruction),
          MachineState.PLAIN.withFlags(AC).withGeneral(RSP, rsp).withGeneral(RCX, CODE + 0x40)));
    }
  }

  /**
   * A program that steps itself gets its trap behind each displaced instruction, whatever that does to the
   * flag.
   */
  @ParameterizedTest
  @ValueSource(strings = {"90", "9c", "66 9c", "9d", "50", "58", "eb 10", "74 10", "e2 10", "e3 10", "c3",
      "ff e1", "e8 20 00 00 00",
      "48 8d 05 00 00 00 00", "48 01 c8", "f3 a4", "c5 f5 fe c2", "d9 e8", "0f 0b", "0f a2"})
  void programsThatStepThemselves(String instruction) {
    MachineState state = MachineState.PLAIN.withGeneral(RCX, 5).withGeneral(RSI, Region.NEAR.address())
        .withGeneral(RDI, Region.LOW.address());
    state = with(state, Region.STACK, Region.BYTES / 2, TF | 0x202);
    state = with(state, Region.STACK, Region.BYTES / 2 + 8, CODE + 0x40);
    assertSame(Case.of(code("9d, " + instruction), state));
  }

  /** Operands in reach of slots and out of it, below 4 GiB by eip, and at the end of a page. */
  @Test
  void branchesThroughPointersEverywhere() {
    for (Region region : List.of(Region.NEAR, Region.FAR, Region.STACK, Region.CONSTANT)) {
      for (int offset : new int[]{0, 0x800, Region.BYTES - 8, Region.BYTES - 4, Region.BYTES}) {
        for (String opcode : List.of("ff 15", "ff 25", "48 ff 15", "f2 ff 25", "3e ff 25", "ff 35", "8f 05",
            "48 8d 05")) {
          byte[] bytes = HexFormat.of().parseHex(opcode.replace(" ", ""));
          byte[] instruction = Arrays.copyOf(bytes, bytes.length + 4);
          ByteBuffer.wrap(instruction).order(ByteOrder.LITTLE_ENDIAN).putInt(bytes.length,
              (int) (region.address() + offset - (CODE + instruction.length)));
          MachineState state = MachineState.PLAIN;
          if (region.isWritable() && offset <= Region.BYTES - 8) {
            state = with(state, region, offset, CODE + 0x40);
          }
          assertSame(Case.of(instruction, state));
        }
      }
    }
    // addr32 call [eip+d], addr32 mov rax, [eip+d]: the address wraps at 4 GiB.
    for (String opcode : List.of("67 ff 15", "67 48 8b 05", "67 48 8d 05")) {
      byte[] bytes = HexFormat.of().parseHex(opcode.replace(" ", ""));
      byte[] instruction = Arrays.copyOf(bytes, bytes.length + 4);
      ByteBuffer.wrap(instruction).order(ByteOrder.LITTLE_ENDIAN).putInt(bytes.length,
          (int) (Region.LOW.address() + 0x100 - (CODE + instruction.length)));
      assertSame(Case.of(instruction, with(MachineState.PLAIN, Region.LOW, 0x100, CODE + 0x40)));
    }
  }

  /** What no random register may be let loose on: the call is made, and rcx and r11 are right afterwards. */
  @Test
  void systemCalls() {
    // getuid; an address that faults: uname(0); a number that is none; sched_yield
    for (long number : new long[]{102, 63, 10_000, 24}) {
      for (long flags : new long[]{0, 0x1, 0x8d5 | 0x400, AC}) {
        assertThat(
            assertSame(Case.of(code("0f 05"), MachineState.PLAIN.withGeneral(RAX, number).withFlags(flags))
                .withSystemCalls()))
            .isEqualTo(new Ending.Exited(CODE + 2));
      }
    }
    // popf with the trap flag before one.
    MachineState stepping = with(MachineState.PLAIN.withGeneral(RAX, 102), Region.STACK, Region.BYTES / 2,
        TF | 0x202);
    assertSame(Case.of(code("9d, 0f 05"), stepping).withSystemCalls());
  }

  /** A fault in the middle of a repeated instruction, in either direction, leaves what was done. */
  @ParameterizedTest
  @ValueSource(strings = {"f3 a4", "f3 48 a5", "f3 aa", "f3 48 ab", "f3 ac", "f3 a6", "f2 a6", "f3 ae",
      "f2 48 af", "67 f3 a4"})
  void repeatedInstructionsThatFault(String instruction) {
    for (long flags : new long[]{0, 0x400}) {
      long edge = flags == 0 ? Region.BYTES - 20 : 24;
      for (long count : new long[]{0, 1, 3, 100}) {
        assertSame(Case.of(code(instruction), MachineState.PLAIN.withFlags(flags).withGeneral(RCX, count)
            .withGeneral(RSI, Region.LOW.address() + edge)
            .withGeneral(RDI, Region.LOW.address() + edge - 8)));
      }
    }
  }
}

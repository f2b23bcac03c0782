package io.xolotl.xol.code;

import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.decoder.BranchSource;
import io.xolotl.decoder.ConditionCode;
import io.xolotl.decoder.Gpr;
import io.xolotl.decoder.LoopKind;
import io.xolotl.decoder.Segment;
import io.xolotl.decoder.zydis.Zydis;
import io.xolotl.xol.code.ZydisEncoder.Width;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What the assembler writes is what Zydis' encoder makes of the same wish. */
class AssemblerTest {

  private static final long HERE = 0x5555_0000_1001L;
  private static final long NEAR = HERE + 0x1234;
  private static final long FAR = 0x7fff_0000_0000L;

  private static byte[] written(Consumer<Assembler> write) {
    var out = new Assembler(HERE);
    write.accept(out);
    assertThat(out.toByteArray()).hasSize(out.size());
    assertThat(out.here()).isEqualTo(HERE + out.size());
    return out.toByteArray();
  }

  /** A branch whose displacement counts from its end. */
  private static byte[] branch(String mnemonic, Width width, int bytes, long from, long target) {
    return ZydisEncoder.of(mnemonic).branch(width).number(target - from - bytes).encode();
  }

  private static byte[] joined(byte[]... parts) {
    int length = Arrays.stream(parts).mapToInt(part -> part.length).sum();
    ByteBuffer joined = ByteBuffer.allocate(length);
    for (byte[] part : parts) {
      joined.put(part);
    }
    return joined.array();
  }

  /** An indirect jump, by the next address behind it that is aligned. */
  private static byte[] farJump(long from, long target) {
    int padding = (int) (-(from + 6) & 7);
    byte[] filled = new byte[padding];
    Arrays.fill(filled, (byte) 0xcc);
    return joined(ZydisEncoder.of("jmp").memory("rip", "", 0, padding, 8).encode(), filled,
        ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(target).array());
  }

  @Test
  void jumps() {
    assertThat(written(out -> out.jump(NEAR))).isEqualTo(branch("jmp", Width.BITS_32, 5, HERE, NEAR));
    assertThat(written(out -> out.jump(FAR))).isEqualTo(farJump(HERE, FAR));
    assertThat(written(out -> assertThat(out.jumpNear(NEAR)).isTrue()))
        .isEqualTo(branch("jmp", Width.BITS_32, 5, HERE, NEAR));
    assertThat(written(out -> assertThat(out.jumpNear(FAR)).isFalse())).isEmpty();
  }

  @ParameterizedTest
  @EnumSource
  void conditionalJumps(ConditionCode condition) {
    assertThat(written(out -> out.jumpIf(condition, NEAR)))
        .isEqualTo(branch(mnemonic(condition), Width.BITS_32, 6, HERE, NEAR));
    ConditionCode opposite = ConditionCode.values()[condition.ordinal() ^ 1];
    byte[] jump = farJump(HERE + 2, FAR);
    assertThat(written(out -> out.jumpIf(condition, FAR))).isEqualTo(
        joined(branch(mnemonic(opposite), Width.BITS_8, 2, HERE, HERE + 2 + jump.length), jump));
  }

  private static String mnemonic(ConditionCode condition) {
    return "j" + condition.name().toLowerCase(Locale.ROOT);
  }

  @ParameterizedTest
  @EnumSource
  void loops(LoopKind kind) {
    for (int addressSize : new int[]{64, 32}) {
      for (long target : new long[]{NEAR, FAR}) {
        int prefix = addressSize == 32 ? 1 : 0;
        long behind = HERE + prefix + 4;
        byte[] jump = target == NEAR ? branch("jmp", Width.BITS_32, 5, behind, NEAR) : farJump(behind, FAR);
        assertThat(written(out -> out.loop(kind, addressSize, target))).isEqualTo(joined(
            loop(kind, addressSize), branch("jmp", Width.BITS_8, 2, 0, 2 + jump.length), jump));
      }
    }
  }

  private static byte[] loop(LoopKind kind, int addressSize) {
    String mnemonic = switch (kind) {
      case LOOP -> "loop";
      case LOOPE -> "loope";
      case LOOPNE -> "loopne";
      case JRCXZ -> addressSize == 32 ? "jecxz" : "jrcxz";
    };
    return ZydisEncoder.of(mnemonic).branch(Width.BITS_8).addressSize(addressSize).number(2).encode();
  }

  @ParameterizedTest
  @ValueSource(longs = {0x5555_0000_1234L, 0x8000_0000L, -0x1234_5678_0000L, 0x1234_5678, -0x1234_5678})
  void pushes(long value) {
    byte[] low = ZydisEncoder.of("push").number((int) value).encode();
    assertThat(low).hasSize(Assembler.PUSH_BYTES);
    byte[] high = ZydisEncoder.of("mov").memory("rsp", "", 0, 4, 4).number((int) (value >> 32)).encode();
    assertThat(written(out -> out.push(value))).isEqualTo(value == (int) value ? low : joined(low, high));
  }

  @ParameterizedTest
  @EnumSource
  void moves(Gpr register) {
    for (int width : new int[]{64, 32, 16}) {
      long value = width == 64 ? 0x1234_5678_9abc_def0L : width == 32 ? 0x1234_5678 : 0x1234;
      assertThat(written(out -> out.move(register, width, value))).as("%d bits", width)
          .isEqualTo(
              ZydisEncoder.of("mov").register(ZydisEncoder.name(register, width)).number(value).encode());
    }
  }

  @ParameterizedTest
  @EnumSource
  void jumpsByARegister(Gpr register) {
    assertThat(written(out -> out.jump(register)))
        .isEqualTo(ZydisEncoder.of("jmp").register(ZydisEncoder.name(register, 64)).encode());
  }

  /** Each base with each index, without and with segments and short addresses. */
  @ParameterizedTest
  @EnumSource
  void jumpsByMemory(Gpr base) {
    for (int size : new int[]{64, 32}) {
      for (Segment segment : Segment.values()) {
        jumpsByMemory(segment, Optional.of(base), Optional.empty(), 1, size);
        if (base != Gpr.RSP) {
          jumpsByMemory(segment, Optional.empty(), Optional.of(base), 8, size);
        }
        for (Gpr index : List.of(Gpr.RAX, Gpr.RBP, Gpr.RDI, Gpr.R8, Gpr.R12, Gpr.R13)) {
          for (int scale : new int[]{1, 2, 4, 8}) {
            jumpsByMemory(segment, Optional.of(base), Optional.of(index), scale, size);
          }
        }
      }
    }
  }

  private static void jumpsByMemory(Segment segment, Optional<Gpr> base, Optional<Gpr> index, int scale,
      int size) {
    // Of more than a byte: the encoder takes the shortest.
    int displacement = 0x1234_5678;
    var memory = new BranchSource.Memory(segment, base, index, scale, displacement, size);
    long prefixes = switch (segment) {
      case NONE -> 0;
      case FS -> Zydis.ZYDIS_ATTRIB_HAS_SEGMENT_FS();
      case GS -> Zydis.ZYDIS_ATTRIB_HAS_SEGMENT_GS();
    };
    byte[] expected = ZydisEncoder.of("jmp").prefixes(prefixes)
        .memory(base.map(gpr -> ZydisEncoder.name(gpr, size)).orElse(""),
            index.map(gpr -> ZydisEncoder.name(gpr, size)).orElse(""), index.isPresent() ? scale : 0,
            displacement, 8)
        .addressSize(size).encode();
    assertThat(sorted(written(out -> assertThat(out.jump(memory)).isTrue()))).as("%s", memory)
        .isEqualTo(sorted(expected));
  }

  /** The order of prefixes says nothing. */
  private static byte[] sorted(byte[] code) {
    byte[] sorted = code.clone();
    if (sorted[0] == 0x67 && (sorted[1] == 0x64 || sorted[1] == 0x65)) {
      sorted[0] = sorted[1];
      sorted[1] = 0x67;
    }
    return sorted;
  }

  @Test
  void jumpsByMemoryThatIsRelative() {
    var memory = new BranchSource.Memory(Segment.NONE, Optional.empty(), Optional.empty(), 1, NEAR, 64);
    assertThat(written(out -> assertThat(out.jump(memory)).isTrue()))
        .isEqualTo(ZydisEncoder.of("jmp").memory("rip", "", 0, NEAR - HERE - 6, 8).encode());
    var far = new BranchSource.Memory(Segment.NONE, Optional.empty(), Optional.empty(), 1, FAR, 64);
    assertThat(written(out -> assertThat(out.jump(far)).isFalse())).isEmpty();
  }

  @Test
  void otherDisplacements() {
    byte[] load = ZydisEncoder.of("mov").register("rax").memory("rip", "", 0, 0x10, 8).encode();
    assertThat(written(out -> assertThat(out.displaced(load, 3, NEAR)).isTrue()))
        .isEqualTo(ZydisEncoder.of("mov").register("rax").memory("rip", "", 0, NEAR - HERE - 7, 8).encode());
    byte[] store = ZydisEncoder.of("mov").memory("rip", "", 0, 0x10, 4).number(0x1234_5678).encode();
    assertThat(written(out -> assertThat(out.displaced(store, 2, NEAR)).isTrue())).isEqualTo(
        ZydisEncoder.of("mov").memory("rip", "", 0, NEAR - HERE - 10, 4).number(0x1234_5678).encode());
    assertThat(written(out -> assertThat(out.displaced(load, 3, FAR)).isFalse())).isEmpty();
  }
}

package io.xolotl.xol.code;

import io.xolotl.decoder.BranchSource;
import io.xolotl.decoder.ConditionCode;
import io.xolotl.decoder.Gpr;
import io.xolotl.decoder.LoopKind;
import io.xolotl.decoder.Segment;
import java.util.Arrays;

/**
 * Writes 64-bit code for one address: the few instructions that relocated code is made of. What is relative
 * to rip reaches 2 GiB; a jump goes anywhere, and is longer then.
 *
 * <p>Encodings are those of the Intel SDM, volume 2. One thread.
 */
public final class Assembler {

  /** {@code jmp [rip+n]}, without the address that is behind it. */
  private static final int INDIRECT_JUMP_BYTES = 6;
  private static final int JUMP_BYTES = 5;
  private static final int SHORT_JUMP_BYTES = 2;

  /** {@code push imm32}, behind which rsp is lower. */
  public static final int PUSH_BYTES = 5;

  private final long start;
  private byte[] code = new byte[64];
  private int size;
  private long lowest = Long.MIN_VALUE;
  private long highest = Long.MAX_VALUE;

  /** Writes nothing yet, for code that will be at an address. */
  public Assembler(long start) {
    this.start = start;
  }

  /** The address of what is written next. */
  public long here() {
    return start + size;
  }

  /** How many bytes are written. */
  public int size() {
    return size;
  }

  /** What is written. */
  public byte[] toByteArray() {
    return Arrays.copyOf(code, size);
  }

  /** The lowest address from which all that is written relative to rip could reach what it reaches. */
  public long lowestStart() {
    return lowest;
  }

  /** The highest such address. */
  public long highestStart() {
    return highest;
  }

  /** The instruction that was written last reaches an address by a displacement of 32 bits from its end. */
  private void notesTarget(long target) {
    lowest = Math.max(lowest, target - size - Integer.MAX_VALUE);
    highest = Math.min(highest, target - size - Integer.MIN_VALUE);
  }

  /** Bytes as they are. */
  public void bytes(byte... bytes) {
    for (byte each : bytes) {
      put(each);
    }
  }

  /**
   * An instruction as it is, but with another displacement from its end.
   *
   * @param instruction its bytes
   * @param offset at which of them the displacement of 32 bits starts
   * @param target where it leads
   * @return false if that is out of reach, and nothing is written
   */
  public boolean displaced(byte[] instruction, int offset, long target) {
    if (!reaches(target, instruction.length)) {
      return false;
    }
    byte[] bytes = instruction.clone();
    long displacement = target - (here() + bytes.length);
    for (int i = 0; i < Integer.BYTES; i++) {
      bytes[offset + i] = (byte) (displacement >> Byte.SIZE * i);
    }
    bytes(bytes);
    notesTarget(target);
    return true;
  }

  /**
   * {@code e9}.
   *
   * @return false if the target is out of reach, and nothing is written
   */
  public boolean jumpNear(long target) {
    if (!reaches(target, JUMP_BYTES)) {
      return false;
    }
    put(0xe9);
    relative(target);
    return true;
  }

  /**
   * {@code jmp target}: {@code e9} if that reaches, and otherwise by an address in the code. That is aligned:
   * a thread that has its accesses checked (flag AC) would fault.
   */
  public void jump(long target) {
    if (jumpNear(target)) {
      return;
    }
    int padding = padding(here() + INDIRECT_JUMP_BYTES);
    put(0xff);
    put(0x25);
    put32(padding);
    for (int i = 0; i < padding; i++) {
      put(0xcc);
    }
    put64(target);
  }

  private static int padding(long address) {
    return (int) (-address & Long.BYTES - 1);
  }

  /** {@code jcc target}; one that does not reach goes around a jump if the condition does not hold. */
  public void jumpIf(ConditionCode condition, long target) {
    if (reaches(target, 6)) {
      put(0x0f);
      put(0x80 | condition.ordinal());
      relative(target);
    } else {
      // The lowest bit of a condition's number negates it.
      put(0x70 | condition.ordinal() ^ 1);
      put(jumpBytes(target, 1));
      jump(target);
    }
  }

  /**
   * {@code loop target} and its kin, which themselves reach 127 bytes: they lead around the way that is taken
   * otherwise.
   *
   * @param addressSize 64 for rcx, 32 for ecx
   */
  public void loop(LoopKind kind, int addressSize, long target) {
    if (addressSize == 32) {
      put(0x67);
    }
    put(switch (kind) {
      case LOOPNE -> 0xe0;
      case LOOPE -> 0xe1;
      case LOOP -> 0xe2;
      case JRCXZ -> 0xe3;
    });
    put(SHORT_JUMP_BYTES);
    put(0xeb);
    put(jumpBytes(target, 1));
    jump(target);
  }

  /** Pushes a number of 64 bits, the lower half first; flags and registers but rsp stay. */
  public void push(long value) {
    // push imm32 sign-extends it.
    put(0x68);
    put32((int) value);
    if (value != (int) value) {
      // mov dword [rsp+4], imm32
      bytes(new byte[]{(byte) 0xc7, 0x44, 0x24, 0x04});
      put32((int) (value >> 32));
    }
  }

  /**
   * {@code mov register, value}.
   *
   * @param widthBits 64; or 32, which clears the upper half; or 16, which keeps the other bits
   */
  public void move(Gpr register, int widthBits, long value) {
    if (widthBits == 16) {
      put(0x66);
    }
    int rex = (widthBits == 64 ? 0x48 : 0x40) | register.index() >> 3;
    if (rex != 0x40) {
      put(rex);
    }
    put(0xb8 | register.index() & 7);
    switch (widthBits) {
      case 64 -> put64(value);
      case 32 -> put32((int) value);
      case 16 -> {
        put((int) value);
        put((int) value >> 8);
      }
      default -> throw new IllegalArgumentException("no register has " + widthBits + " bits");
    }
  }

  /** {@code jmp register}. */
  public void jump(Gpr register) {
    if (register.index() >= 8) {
      put(0x41);
    }
    put(0xff);
    put(0xe0 | register.index() & 7);
  }

  /**
   * {@code jmp [memory]}.
   *
   * @return false if the memory is out of reach, and nothing is written
   */
  public boolean jump(BranchSource.Memory memory) {
    int base = memory.base().map(Gpr::index).orElse(-1);
    int index = memory.index().map(Gpr::index).orElse(-1);
    int prefixes = (memory.segment() == Segment.NONE ? 0 : 1) + (memory.addressSize() == 32 ? 1 : 0);
    long displacement = memory.displacement();
    // ff /4 with modrm and displacement.
    boolean byRip = base < 0 && index < 0 && memory.addressSize() == 64
        && reaches(displacement, prefixes + 6);
    if (!byRip && memory.addressSize() == 64 && displacement != (int) displacement) {
      return false;
    }
    switch (memory.segment()) {
      case FS -> put(0x64);
      case GS -> put(0x65);
      case NONE -> {
        // Its base is 0.
      }
    }
    if (memory.addressSize() == 32) {
      put(0x67);
    }
    int rex = 0x40 | (base >= 8 ? 1 : 0) | (index >= 8 ? 2 : 0);
    if (rex != 0x40) {
      put(rex);
    }
    put(0xff);
    if (byRip) {
      put(0x25);
      relative(displacement);
      return true;
    }
    boolean sib = index >= 0 || base < 0 || (base & 7) == 4;
    // A displacement of 32 bits is behind any base; without one it is mod 00 with a base of 101.
    put((base < 0 ? 0x00 : 0x80) | 0x20 | (sib ? 4 : base & 7));
    if (sib) {
      put(Integer.numberOfTrailingZeros(memory.scale()) << 6 | (index < 0 ? 4 : index & 7) << 3
          | (base < 0 ? 5 : base & 7));
    }
    put32((int) displacement);
    return true;
  }

  /** How long a jump is that is written behind some bytes which are written next. */
  private int jumpBytes(long target, int before) {
    return reaches(target, before + JUMP_BYTES)
        ? JUMP_BYTES
        : INDIRECT_JUMP_BYTES + padding(here() + before + INDIRECT_JUMP_BYTES) + Long.BYTES;
  }

  /** Returns true if an instruction of some bytes that is written next reaches an address from its end. */
  private boolean reaches(long target, int bytes) {
    long distance = target - (here() + bytes);
    return distance == (int) distance;
  }

  /** The last four bytes of an instruction. */
  private void relative(long target) {
    put32((int) (target - (here() + 4)));
    notesTarget(target);
  }

  private void put32(int value) {
    for (int i = 0; i < 32; i += 8) {
      put(value >> i);
    }
  }

  private void put64(long value) {
    put32((int) value);
    put32((int) (value >> 32));
  }

  private void put(int value) {
    if (size == code.length) {
      code = Arrays.copyOf(code, 2 * size);
    }
    code[size++] = (byte) value;
  }
}

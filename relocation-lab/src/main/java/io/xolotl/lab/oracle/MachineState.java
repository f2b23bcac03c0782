package io.xolotl.lab.oracle;

import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * What a piece of code starts with: registers and memory. Immutable; each {@code with} method returns a
 * changed copy.
 */
public final class MachineState {

  /** The general registers by their number in instructions. */
  public static final List<String> GENERAL = List.of("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
      "r8", "r9",
      "r10", "r11", "r12", "r13", "r14", "r15");

  /** The number of rsp. */
  public static final int RSP = 4;

  /** The flags that a state can set: CF, PF, AF, ZF, SF, DF, OF, AC and ID. */
  public static final long FLAGS = 0x1 | 0x4 | 0x10 | 0x40 | 0x80 | 0x400 | 0x800 | 0x4_0000 | 0x20_0000;

  /** The flags that are always so: bit 1, and interrupts enabled. */
  static final long FIXED_FLAGS = 0x202;

  private static final long USER_ADDRESSES = 1L << 47;

  /**
   * Everything zero, except that rsp is in the middle of {@link Region#STACK}.
   */
  public static final MachineState PLAIN = new MachineState(plainRegisters(), 0, 0, 0,
      VectorRegisters.INITIAL,
      Map.of());

  private final long[] general;
  private final long flags;
  private final long fsBase;
  private final long gsBase;
  private final VectorRegisters vectors;
  private final Map<Region, byte[]> memory;

  private MachineState(long[] general, long flags, long fsBase, long gsBase, VectorRegisters vectors,
      Map<Region, byte[]> memory) {
    this.general = general;
    this.flags = flags;
    this.fsBase = fsBase;
    this.gsBase = gsBase;
    this.vectors = vectors;
    this.memory = memory;
  }

  private static long[] plainRegisters() {
    long[] registers = new long[GENERAL.size()];
    registers[RSP] = Region.STACK.address() + Region.BYTES / 2;
    return registers;
  }

  /**
   * {@return a general register by its number}
   *
   * @param number that of the encoding, 0 for rax to 15 for r15
   */
  public long general(int number) {
    return general[number];
  }

  /**
   * {@return the same with another value of a general register}
   *
   * @param number that of the encoding, 0 for rax to 15 for r15
   * @param value the new one
   */
  public MachineState withGeneral(int number, long value) {
    long[] copy = general.clone();
    copy[number] = value;
    return new MachineState(copy, flags, fsBase, gsBase, vectors, memory);
  }

  /** {@return the flags, of which only {@link #FLAGS} can be set} */
  public long flags() {
    return flags;
  }

  /**
   * {@return the same with other flags}
   *
   * @param replacement the new ones
   */
  public MachineState withFlags(long replacement) {
    if ((replacement & ~FLAGS) != 0) {
      throw new IllegalArgumentException(Hex.of(replacement) + " has bits that are no flags of a state");
    }
    return new MachineState(general, replacement, fsBase, gsBase, vectors, memory);
  }

  /** {@return the address that fs adds} */
  public long fsBase() {
    return fsBase;
  }

  /** {@return the address that gs adds} */
  public long gsBase() {
    return gsBase;
  }

  /**
   * {@return the same with other bases of fs and gs, both less than 2^47}
   *
   * @param fs the base of fs
   * @param gs the base of gs
   */
  public MachineState withBases(long fs, long gs) {
    if (fs < 0 || fs >= USER_ADDRESSES || gs < 0 || gs >= USER_ADDRESSES) {
      throw new IllegalArgumentException("no addresses of user space: " + Hex.of(fs) + ", " + Hex.of(gs));
    }
    return new MachineState(general, flags, fs, gs, vectors, memory);
  }

  /** {@return the registers of x87, SSE, AVX and AVX-512} */
  public VectorRegisters vectors() {
    return vectors;
  }

  /**
   * {@return the same with other vector registers}
   *
   * @param replacement the new ones
   */
  public MachineState withVectors(VectorRegisters replacement) {
    return new MachineState(general, flags, fsBase, gsBase, replacement, memory);
  }

  /**
   * {@return what is in a writable region}
   *
   * @param region which one
   */
  public byte[] memory(Region region) {
    byte[] content = memory.get(region);
    return content == null ? new byte[Region.BYTES] : content.clone();
  }

  boolean isZero(Region region) {
    return !memory.containsKey(region);
  }

  /**
   * {@return the same with other memory}
   *
   * @param region a writable one
   * @param content what its first bytes are; the others are zero
   */
  public MachineState withMemory(Region region, byte[] content) {
    if (!region.isWritable() || content.length > Region.BYTES) {
      throw new IllegalArgumentException("no content for " + region + ": " + content.length + " bytes");
    }
    var copy = new EnumMap<Region, byte[]>(Region.class);
    copy.putAll(memory);
    byte[] whole = Arrays.copyOf(content, Region.BYTES);
    if (Arrays.equals(whole, new byte[Region.BYTES])) {
      copy.remove(region);
    } else {
      copy.put(region, whole);
    }
    return new MachineState(general, flags, fsBase, gsBase, vectors, copy);
  }

  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof MachineState that && Arrays.equals(general, that.general) && flags == that.flags
        && fsBase == that.fsBase && gsBase == that.gsBase && vectors.equals(that.vectors)
        && memory.keySet().equals(that.memory.keySet())
        && memory.entrySet().stream().allMatch(e -> Arrays.equals(e.getValue(), that.memory.get(e.getKey())));
  }

  @Override
  public int hashCode() {
    return Objects.hash(Arrays.hashCode(general), flags, fsBase, gsBase, vectors, memory.keySet());
  }

  /** What differs from {@link #PLAIN}; of memory, only which regions. */
  @Override
  public String toString() {
    var text = new StringBuilder();
    for (int i = 0; i < GENERAL.size(); i++) {
      if (general[i] != PLAIN.general[i]) {
        text.append(' ').append(GENERAL.get(i)).append('=').append(Hex.of(general[i]));
      }
    }
    if (flags != 0) {
      text.append(" flags=").append(Flags.text(flags));
    }
    if (fsBase != 0) {
      text.append(" fs_base=").append(Hex.of(fsBase));
    }
    if (gsBase != 0) {
      text.append(" gs_base=").append(Hex.of(gsBase));
    }
    if (!vectors.equals(VectorRegisters.INITIAL)) {
      text.append(' ').append(vectors);
    }
    memory.keySet().forEach(region -> text.append(" memory ").append(region));
    return text.isEmpty() ? "plain" : text.toString().strip();
  }
}

package io.xolotl.decoder;

import io.xolotl.decoder.zydis.Zydis;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.ref.Reference;
import java.util.Objects;
import java.util.Spliterator;
import java.util.Spliterators;
import java.util.function.Consumer;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

/**
 * Turns bytes into instructions, as Zydis understands them.
 *
 * <p>Immutable; any number of threads, virtual ones too, may use one at the same time. Decoding allocates
 * nothing but its result.
 */
public final class Decoder {

  private static final class Holder {
    static final Decoder LONG_64 = of(MachineMode.LONG_64, CpuVendor.ofThisCpu(), false);
    static final Decoder COMPAT_32 = of(MachineMode.COMPAT_32, CpuVendor.ofThisCpu(), false);
  }

  private final MachineMode mode;
  private final CpuVendor vendor;
  private final boolean mpx;
  private final ZydisTables tables;
  private final MemorySegment zydis;

  private Decoder(MachineMode mode, CpuVendor vendor, boolean mpx, ZydisTables tables) {
    this.mode = mode;
    this.vendor = vendor;
    this.mpx = mpx;
    this.tables = tables;
    zydis = Arena.ofAuto().allocate(ZydisStructs.DECODER_SIZE, 8);
    ZydisTables.requireSuccess(switch (mode) {
      case LONG_64 ->
        Zydis.ZydisDecoderInit(zydis, Zydis.ZYDIS_MACHINE_MODE_LONG_64(), Zydis.ZYDIS_STACK_WIDTH_64());
      case COMPAT_32 ->
        Zydis.ZydisDecoderInit(zydis, Zydis.ZYDIS_MACHINE_MODE_LONG_COMPAT_32(),
            Zydis.ZYDIS_STACK_WIDTH_32());
    });
    enable(Zydis.ZYDIS_DECODER_MODE_AMD_BRANCHES(), vendor == CpuVendor.AMD);
    enable(Zydis.ZYDIS_DECODER_MODE_MPX(), mpx);
  }

  private void enable(int zydisMode, boolean enabled) {
    ZydisTables.requireSuccess(Zydis.ZydisDecoderEnableMode(zydis, zydisMode, (byte) (enabled ? 1 : 0)));
  }

  /**
   * Returns the decoder for 64-bit code that agrees best with the CPU this program runs on.
   *
   * @throws DecoderUnavailableException if Zydis cannot be used
   */
  public static Decoder forThisCpu() {
    return forThisCpu(MachineMode.LONG_64);
  }

  /**
   * Returns the decoder that agrees best with the CPU this program runs on.
   *
   * @param mode what the bytes are code for
   * @throws DecoderUnavailableException if Zydis cannot be used
   */
  public static Decoder forThisCpu(MachineMode mode) {
    // Asked first so that a failure comes as itself, not as an error in an initializer.
    ZydisLibrary.tables();
    return switch (mode) {
      case LONG_64 -> Holder.LONG_64;
      case COMPAT_32 -> Holder.COMPAT_32;
    };
  }

  /**
   * Returns a decoder that does not depend on the CPU.
   *
   * @param mode what the bytes are code for
   * @param vendor who made the CPU that would execute them
   * @param mpx decode Intel MPX; without it its instructions are nops, as on all CPUs sold since 2019
   * @throws DecoderUnavailableException if Zydis cannot be used
   */
  public static Decoder of(MachineMode mode, CpuVendor vendor, boolean mpx) {
    return new Decoder(mode, vendor, mpx, ZydisLibrary.tables());
  }

  /** Returns what the bytes are code for. */
  public MachineMode mode() {
    return mode;
  }

  /** Returns whose reading of the instruction set applies. */
  public CpuVendor vendor() {
    return vendor;
  }

  /** Returns true if Intel MPX is decoded. */
  public boolean mpx() {
    return mpx;
  }

  /**
   * Decodes one instruction.
   *
   * @param bytes holds the instruction
   * @param offset where it starts
   * @param length how many bytes there are; those behind the instruction do not matter
   * @param address where the first byte is, or will be, in the process
   * @return an {@link Instruction}, or why there is none
   * @throws IndexOutOfBoundsException if the range is not within the array
   */
  public Decoding decode(byte[] bytes, int offset, int length, long address) {
    Objects.checkFromIndexSize(offset, length, bytes.length);
    int available = Math.min(length, Scratch.INPUT_SIZE);
    Scratch scratch = Scratch.take();
    try {
      scratch.load(bytes, offset, available);
      return decode(scratch, available, address);
    } finally {
      scratch.giveBack();
    }
  }

  /**
   * Decodes the instruction at the beginning of an array.
   *
   * @param bytes holds the instruction
   * @param address where the first byte is, or will be, in the process
   * @return an {@link Instruction}, or why there is none
   */
  public Decoding decode(byte[] bytes, long address) {
    return decode(bytes, 0, bytes.length, address);
  }

  /**
   * Decodes one instruction.
   *
   * @param segment holds the instruction
   * @param offset where it starts; bytes up to the segment's end may be read
   * @param address where the first byte is, or will be, in the process
   * @return an {@link Instruction}, or why there is none
   * @throws IndexOutOfBoundsException if the offset is not within the segment or at its end
   * @throws IllegalStateException if the segment is not alive
   * @throws WrongThreadException if the segment is confined to another thread
   */
  public Decoding decode(MemorySegment segment, long offset, long address) {
    Objects.checkFromToIndex(offset, segment.byteSize(), segment.byteSize());
    int available = (int) Math.min(segment.byteSize() - offset, Scratch.INPUT_SIZE);
    Scratch scratch = Scratch.take();
    try {
      scratch.load(segment, offset, available);
      return decode(scratch, available, address);
    } finally {
      scratch.giveBack();
    }
  }

  /**
   * Decodes one instruction after the other, each when it is asked for. Where none starts, the stream has an
   * {@link Undecodable} and goes on at the next byte.
   *
   * @param segment holds the code, to its end
   * @param address where the first byte is, or will be, in the process
   * @return a sequential stream in ascending order of address
   */
  public Stream<Decoding> stream(MemorySegment segment, long address) {
    return StreamSupport.stream(new Sweep(segment, address), false);
  }

  /**
   * As {@link #stream(MemorySegment, long)}.
   *
   * @param bytes holds the code, to its end
   * @param address where the first byte is, or will be, in the process
   * @return a sequential stream in ascending order of address
   */
  public Stream<Decoding> stream(byte[] bytes, long address) {
    return stream(MemorySegment.ofArray(bytes), address);
  }

  /**
   * Decodes one instruction and says what happens to it out of line. Never fails: bytes that are no
   * instruction are refused.
   *
   * @param bytes holds the instruction
   * @param offset where it starts
   * @param length how many bytes there are
   * @param address where the first byte is in the process
   * @param policy whether copies may be changed
   * @return what happens to it
   * @throws IndexOutOfBoundsException if the range is not within the array
   */
  public Classification classify(byte[] bytes, int offset, int length, long address,
      RelocationPolicy policy) {
    return Classification.of(decode(bytes, offset, length, address), policy);
  }

  /**
   * Returns a cursor over code, which decodes without allocating. It stands nowhere yet:
   * {@link CodeCursor#moveTo} first.
   *
   * @param code the code, which is copied
   * @param address where its first byte is, or will be, in the process
   */
  public CodeCursor cursor(MemorySegment code, long address) {
    return new CodeCursor(this, code, address);
  }

  /**
   * As {@link #cursor(MemorySegment, long)}.
   *
   * @param code the code, which is copied
   * @param address where its first byte is, or will be, in the process
   */
  public CodeCursor cursor(byte[] code, long address) {
    return cursor(MemorySegment.ofArray(code), address);
  }

  private final class Sweep extends Spliterators.AbstractSpliterator<Decoding> {

    private final MemorySegment code;
    private final long start;
    private long offset;

    Sweep(MemorySegment code, long start) {
      super(code.byteSize(), Spliterator.ORDERED | Spliterator.NONNULL);
      this.code = code;
      this.start = start;
    }

    @Override
    public boolean tryAdvance(Consumer<? super Decoding> action) {
      if (offset == code.byteSize()) {
        return false;
      }
      Decoding decoding = decode(code, offset, start + offset);
      offset += decoding.length();
      action.accept(decoding);
      return true;
    }
  }

  ZydisTables tables() {
    return tables;
  }

  private Decoding decode(Scratch scratch, int available, long address) {
    int status = decodeInstruction(scratch, available);
    return status < 0
        ? undecodable(scratch, available, address, status)
        : new Instruction(this, scratch, address);
  }

  // Each call of Zydis has a method of its own: several hot ones in one method cost one of them its inlining.

  private int decodeInstruction(Scratch scratch, int available) {
    try {
      return ZydisCalls.decodeInstruction(zydis.address(), scratch.context.address(), scratch.input.address(),
          available, scratch.instruction.address());
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  /** Address of Zydis' own decoder, which is there as long as this object. */
  long address() {
    return zydis.address();
  }

  /** Decodes an instruction once more, with its operands; all of the scratch is filled. */
  void decodeOperands(Scratch scratch, Instruction instruction) {
    instruction.loadInto(scratch);
    ZydisTables.requireSuccess(decodeInstruction(scratch, instruction.length()));
    ZydisTables.requireSuccess(decodeOperands(scratch));
    NativeOperand.correctBase(scratch);
  }

  private int decodeOperands(Scratch scratch) {
    try {
      return ZydisCalls.decodeOperands(zydis.address(), scratch.context.address(),
          scratch.instruction.address(),
          scratch.operands.address(), scratch.instructionByte(ZydisStructs.OPERAND_COUNT));
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  private Undecodable undecodable(Scratch scratch, int available, long address, int status) {
    Undecodable.Reason reason;
    if (status == Zydis.ZYDIS_STATUS_NO_MORE_DATA()) {
      reason = Undecodable.Reason.TRUNCATED;
    } else if (status == Zydis.ZYDIS_STATUS_INSTRUCTION_TOO_LONG()) {
      reason = Undecodable.Reason.TOO_LONG;
    } else {
      reason = mode == MachineMode.LONG_64 ? reasonInvalid(scratch, available) : Undecodable.Reason.INVALID;
    }
    return new Undecodable(address, available == 0 ? -1 : scratch.inputByte(0), reason);
  }

  /**
   * Recognizes prefixes that Zydis 4 does not know, in bytes that it called invalid: the REX2 of APX, and an
   * EVEX with the bits that APX uses (Intel APX specification, 3.1) or without the one that tells EVEX from
   * MVEX.
   */
  private static Undecodable.Reason reasonInvalid(Scratch scratch, int available) {
    int i = 0;
    while (i < available && isLegacyPrefix(scratch.inputByte(i))) {
      i++;
    }
    if (i < available && scratch.inputByte(i) == 0xd5) {
      return Undecodable.Reason.APX;
    }
    if (i + 2 < available && scratch.inputByte(i) == 0x62) {
      if ((scratch.inputByte(i + 2) & 0x04) == 0) {
        return Undecodable.Reason.MVEX;
      }
      int map = scratch.inputByte(i + 1) & 0x07;
      if (map == 4 || (scratch.inputByte(i + 1) & 0x08) != 0) {
        return Undecodable.Reason.APX;
      }
    }
    return Undecodable.Reason.INVALID;
  }

  static boolean isLegacyPrefix(int b) {
    return switch (b) {
      case 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3 -> true;
      default -> false;
    };
  }
}

package io.xolotl.decoder;

import io.xolotl.decoder.DecoderUnavailableException.Reason;
import io.xolotl.decoder.backend.Backend;
import io.xolotl.decoder.backend.Layout;
import io.xolotl.decoder.backend.Names;
import io.xolotl.decoder.tables.TableBackend;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;
import java.util.Spliterator;
import java.util.Spliterators;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.function.Consumer;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.jspecify.annotations.Nullable;

/**
 * Turns bytes into instructions. The decoder is Zydis-based, pure Java: its tables hold what Zydis answered
 * when they were built, and no native code is called, unless {@link Implementation#ZYDIS} is asked for.
 *
 * <p>Immutable; any number of threads, virtual ones too, may use one at the same time.
 */
public final class Decoder {

  /**
   * Who decodes. {@code -Dxolotl.decoder=zydis} makes the other one the default of a JVM; both understand
   * every instruction alike, and tests compare them.
   */
  public enum Implementation {
    /** Tables, in Java alone: the default. */
    TABLES,
    /**
     * The library Zydis 4, which the tables were made from: to check them, and to compare speeds. It needs
     * the library, from the optional artifact or of the system, and a JVM that permits this module native
     * access.
     */
    ZYDIS;

    /** The system property that names the default. */
    public static final String PROPERTY = "xolotl.decoder";

    private static Implementation byDefault() {
      String name = System.getProperty(PROPERTY, "");
      return switch (name.toLowerCase(Locale.ROOT)) {
        case "", "tables" -> TABLES;
        case "zydis" -> ZYDIS;
        default -> throw new DecoderUnavailableException(Reason.NO_SUCH_IMPLEMENTATION,
            "-D" + PROPERTY + "=" + name + " names no decoder: it is tables or zydis", null);
      };
    }
  }

  /** One byte more than an instruction may have, so that too long differs from truncated. */
  private static final int WINDOW = Layout.MAX_LENGTH + 1;

  /**
   * By implementation and mode. Not in initializers, where a failure would come as an error, and only once as
   * itself.
   */
  private static final AtomicReferenceArray<Decoder> FOR_THIS_CPU = new AtomicReferenceArray<>(
      Implementation.values().length * MachineMode.values().length);

  private final MachineMode mode;
  private final CpuVendor vendor;
  private final boolean mpx;
  private final Implementation implementation;
  private final Backend backend;

  // Made when first asked for; each is safely published even by a race, as all in it is final or final
  // enough: an element of an array that another thread has not seen yet is found out again.
  private @Nullable List<Register> registers;
  private @Nullable Outcomes outcomes;
  private final @Nullable Rule[] rules;

  private Decoder(MachineMode mode, CpuVendor vendor, boolean mpx, Implementation implementation) {
    this.mode = mode;
    this.vendor = vendor;
    this.mpx = mpx;
    this.implementation = implementation;
    boolean mode64 = mode == MachineMode.LONG_64;
    boolean amd = vendor == CpuVendor.AMD;
    backend = switch (implementation) {
      case TABLES -> TableBackend.of(mode64, amd, mpx);
      case ZYDIS -> Reference.of(mode64, amd, mpx);
    };
    rules = new Rule[backend.names().mnemonics().size()];
  }

  /**
   * Returns the decoder for 64-bit code that agrees best with the CPU this program runs on.
   *
   * @throws DecoderUnavailableException if the system property names an implementation that cannot be used
   */
  public static Decoder forThisCpu() {
    return forThisCpu(MachineMode.LONG_64);
  }

  /**
   * Returns the decoder that agrees best with the CPU this program runs on.
   *
   * @param mode what the bytes are code for
   * @throws DecoderUnavailableException if the system property names an implementation that cannot be used
   */
  public static Decoder forThisCpu(MachineMode mode) {
    Implementation implementation = Implementation.byDefault();
    int index = implementation.ordinal() * MachineMode.values().length + mode.ordinal();
    Decoder known = FOR_THIS_CPU.get(index);
    if (known == null) {
      // Two threads may make one at the same time; all get the first that is there.
      FOR_THIS_CPU.compareAndSet(index, null,
          new Decoder(mode, CpuVendor.ofThisCpu(), false, implementation));
      known = Objects.requireNonNull(FOR_THIS_CPU.get(index));
    }
    return known;
  }

  /**
   * Returns a decoder that does not depend on the CPU.
   *
   * @param mode what the bytes are code for
   * @param vendor who made the CPU that would execute them
   * @param mpx decode Intel MPX; without it its instructions are nops, as on all CPUs sold since 2019
   * @throws DecoderUnavailableException if the system property names an implementation that cannot be used
   */
  public static Decoder of(MachineMode mode, CpuVendor vendor, boolean mpx) {
    return new Decoder(mode, vendor, mpx, Implementation.byDefault());
  }

  /**
   * Returns a decoder that reads the same code, by a given implementation.
   *
   * @param other who decodes
   * @throws DecoderUnavailableException if it cannot be used
   */
  public Decoder with(Implementation other) {
    return other == implementation ? this : new Decoder(mode, vendor, mpx, other);
  }

  /** Returns who decodes. */
  public Implementation implementation() {
    return implementation;
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
   * @return a {@link DecodedInstruction}, or why there is none
   * @throws IndexOutOfBoundsException if the range is not within the array
   */
  public Decoding decode(byte[] bytes, int offset, int length, long address) {
    Objects.checkFromIndexSize(offset, length, bytes.length);
    long layout = backend.parse(bytes, offset, offset + length);
    return layout < 0
        ? undecodable(bytes, offset, length, address, layout)
        : new DecodedInstruction(this, bytes, offset, layout, address);
  }

  /**
   * Decodes the instruction at the beginning of an array.
   *
   * @param bytes holds the instruction
   * @param address where the first byte is, or will be, in the process
   * @return a {@link DecodedInstruction}, or why there is none
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
   * @return a {@link DecodedInstruction}, or why there is none
   * @throws IndexOutOfBoundsException if the offset is not within the segment or at its end
   * @throws IllegalStateException if the segment is not alive
   * @throws WrongThreadException if the segment is confined to another thread
   */
  public Decoding decode(MemorySegment segment, long offset, long address) {
    Objects.checkFromToIndex(offset, segment.byteSize(), segment.byteSize());
    return decode(head(segment, offset, new byte[WINDOW]), 0, available(segment, offset), address);
  }

  /** Copies as many bytes as decide about an instruction. */
  private static byte[] head(MemorySegment segment, long offset, byte[] window) {
    MemorySegment.copy(segment, ValueLayout.JAVA_BYTE, offset, window, 0, available(segment, offset));
    return window;
  }

  private static int available(MemorySegment segment, long offset) {
    return (int) Math.min(segment.byteSize() - offset, WINDOW);
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
   * @throws IllegalStateException if it has 2 GiB or more
   */
  public CodeCursor cursor(MemorySegment code, long address) {
    return new CodeCursor(this, code.toArray(ValueLayout.JAVA_BYTE), address);
  }

  /**
   * As {@link #cursor(MemorySegment, long)}.
   *
   * @param code the code, which is copied
   * @param address where its first byte is, or will be, in the process
   */
  public CodeCursor cursor(byte[] code, long address) {
    return new CodeCursor(this, code.clone(), address);
  }

  private final class Sweep extends Spliterators.AbstractSpliterator<Decoding> {

    private final MemorySegment code;
    private final long start;
    private final byte[] window = new byte[WINDOW];
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
      Decoding decoding = decode(head(code, offset, window), 0, available(code, offset), start + offset);
      offset += decoding.length();
      action.accept(decoding);
      return true;
    }
  }

  Backend backend() {
    return backend;
  }

  Names names() {
    return backend.names();
  }

  /** By number; 0 stands for none. */
  List<Register> registers() {
    List<Register> known = registers;
    if (known == null) {
      known = names().registers().stream().map(r -> new Register(r.name(), r.width(),
          r.general() < 0 ? Optional.empty() : Optional.of(Gpr.of(r.general())))).toList();
      registers = known;
    }
    return known;
  }

  Outcomes outcomes() {
    Outcomes known = outcomes;
    if (known == null) {
      known = new Outcomes(this);
      outcomes = known;
    }
    return known;
  }

  Rule rule(int mnemonic) {
    Rule rule = rules[mnemonic];
    if (rule == null) {
      rule = Rule.of(names().mnemonics().get(mnemonic));
      rules[mnemonic] = rule;
    }
    return rule;
  }

  private Undecodable undecodable(byte[] code, int offset, int available, long address, long status) {
    Undecodable.Reason reason;
    if (status == Layout.TRUNCATED) {
      reason = Undecodable.Reason.TRUNCATED;
    } else if (status == Layout.TOO_LONG) {
      reason = Undecodable.Reason.TOO_LONG;
    } else {
      reason = mode == MachineMode.LONG_64
          ? reasonInvalid(code, offset, offset + available)
          : Undecodable.Reason.INVALID;
    }
    return new Undecodable(address, available == 0 ? -1 : code[offset] & 0xff, reason);
  }

  /**
   * Recognizes prefixes of what the decoder does not know, in bytes that it called invalid: the REX2 of APX,
   * and an EVEX with the bits that APX uses (Intel APX specification, 3.1) or without the one that tells EVEX
   * from MVEX, the encoding of Knights Corner.
   */
  private static Undecodable.Reason reasonInvalid(byte[] code, int offset, int end) {
    int i = offset;
    while (i < end && TableBackend.isPrefix(code[i] & 0xff)) {
      i++;
    }
    if (i < end && code[i] == (byte) 0xd5) {
      return Undecodable.Reason.APX;
    }
    if (i + 2 < end && code[i] == 0x62) {
      if ((code[i + 2] & 0x04) == 0) {
        return Undecodable.Reason.MVEX;
      }
      if ((code[i + 1] & 0x07) == 4 || (code[i + 1] & 0x08) != 0) {
        return Undecodable.Reason.APX;
      }
    }
    return Undecodable.Reason.INVALID;
  }
}

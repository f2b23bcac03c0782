package io.xolotl.lab.oracle;

import io.xolotl.decoder.BranchKind;
import io.xolotl.decoder.Classification;
import io.xolotl.decoder.DecodedInstruction;
import io.xolotl.decoder.Effect;
import io.xolotl.decoder.Gpr;
import io.xolotl.decoder.Operand;
import io.xolotl.decoder.Register;
import io.xolotl.decoder.RelocationPolicy;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;

/**
 * An instruction and its relocated code, to be executed from many states. Immutable.
 *
 * <p>What the instruction uses as an address, as a count or as a target gets such values in these states that
 * something happens.
 */
public final class Pair {

  /** How far behind the original a branch finds the second place where code may leave. */
  public static final int TAKEN = 0x40;

  /** How many bytes an instruction has at most. */
  public static final int MOST_BYTES = 15;

  private static final int MOST_OPERANDS = 2;
  private static final int NO_REGISTER = 0xff;
  private static final int OPERAND_BYTES = 16;
  private static final RelocatedCode NOTHING = RelocatedCode.of(new byte[]{(byte) 0xcc},
      _ -> new RelocatedCode.Fault(0, 0));

  private final byte[] record;
  private final byte[] code;
  private final long address;
  private final Place place;
  private final RelocatedCode relocated;

  private Pair(byte[] code, long address, long entry, Place place, RelocatedCode relocated, int states,
      int options) {
    if (code.length == 0 || code.length > MOST_BYTES) {
      throw new IllegalArgumentException("an instruction of " + code.length + " bytes");
    }
    this.code = code.clone();
    this.address = address;
    this.place = place;
    this.relocated = relocated;
    record = new byte[Layout.PAIR_BYTES];
    view().putLong(Layout.PAIR_ADDRESS, address).putLong(Layout.PAIR_ENTRY, entry)
        .putLong(Layout.PAIR_COPY, place.of(address)).put(Layout.PAIR_LENGTH, (byte) code.length)
        .put(Layout.PAIR_COPY_LENGTH, (byte) relocated.length())
        .putShort(Layout.PAIR_STATES, (short) states).put(Layout.PAIR_OPTIONS, (byte) options)
        .put(Layout.PAIR_CODE, code).put(Layout.PAIR_COPY_CODE, relocated.code())
        .put(Layout.PAIR_FAULTS, relocated.faults());
  }

  /**
   * {@return a pair of an instruction that is decoded}
   *
   * @param instruction the original, at an address that {@link PairOracle#address} has given
   * @param place where its relocated code is
   * @param relocated made for that place
   * @param states from how many states it is executed
   * @param varies whether it does something else each time, so that it is left out of digests
   */
  public static Pair of(DecodedInstruction instruction, Place place, RelocatedCode relocated, int states,
      boolean varies) {
    int options = (instruction.isRepeated() ? Layout.PAIR_REPEATED : 0)
        | (varies ? Layout.PAIR_VARIES : 0)
        | (restores(instruction) ? Layout.PAIR_RESTORES : 0)
        | (isIndirectCall(instruction) ? Layout.PAIR_PUSHES_FIRST : 0);
    var pair = new Pair(instruction.bytes(), instruction.address(), place.of(instruction.address()), place,
        relocated, states, options);
    pair.aim(instruction);
    return pair;
  }

  /**
   * {@return a pair of bytes that may be no instruction, and of the same bytes in the same place: what
   * differs between the two is not the same twice}
   *
   * @param code 1 to {@link #MOST_BYTES} bytes
   * @param address one that {@link PairOracle#address} has given
   * @param states from how many states they are executed
   */
  public static Pair ofBytes(byte[] code, long address, int states) {
    return new Pair(code, address, address, Place.NEAR, NOTHING, states, Layout.PAIR_VARIES);
  }

  /** Registers are restored from an image, which few bytes are. */
  private static boolean restores(DecodedInstruction instruction) {
    return switch (instruction.mnemonic()) {
      case "xrstor", "xrstor64", "fxrstor", "fxrstor64", "frstor", "fldenv" -> true;
      default -> false;
    };
  }

  private static boolean isIndirectCall(DecodedInstruction instruction) {
    return Classification.of(instruction, RelocationPolicy.FULL) instanceof Classification.Accept(var effect)
        && effect instanceof Effect.IndirectCall;
  }

  private ByteBuffer view() {
    return ByteBuffer.wrap(record).order(ByteOrder.LITTLE_ENDIAN);
  }

  private void aim(DecodedInstruction instruction) {
    boolean indirect = instruction.branchKind() == BranchKind.NEAR && instruction.branchTarget().isEmpty();
    var operands = new ArrayList<Operand.OfMemory>();
    for (Operand operand : instruction.operands()) {
      // An indirect call writes memory too: the return address.
      if (operand instanceof Operand.OfMemory memory && (!indirect || memory.read())) {
        operands.add(memory);
      }
    }
    List<Operand.OfMemory> aimed = operands.subList(0, Math.min(operands.size(), MOST_OPERANDS));
    ByteBuffer view = view();
    view.put(Layout.PAIR_OPERANDS, (byte) aimed.size());
    for (int i = 0; i < aimed.size(); i++) {
      write(view, Layout.PAIR_OPERAND + i * OPERAND_BYTES, aimed.get(i), instruction);
    }
    if (!indirect) {
      return;
    }
    Optional<Gpr> register = instruction.operands().getFirst() instanceof Operand.OfRegister first
        ? first.register().gpr()
        : Optional.empty();
    if (register.isPresent() && aimed.isEmpty()) {
      view.put(Layout.PAIR_TARGET, (byte) Layout.TARGET_REGISTER)
          .put(Layout.PAIR_TARGET_REGISTER, (byte) register.get().index());
    } else if (!aimed.isEmpty()) {
      view.put(Layout.PAIR_TARGET, (byte) Layout.TARGET_MEMORY);
    }
  }

  private static void write(ByteBuffer view, int at, Operand.OfMemory memory,
      DecodedInstruction instruction) {
    boolean relative = memory.base().filter(base -> base.name().endsWith("ip")).isPresent();
    view.put(at, relative ? (byte) NO_REGISTER : number(memory.base()))
        .put(at + 1, number(memory.index())).put(at + 2, (byte) memory.scale())
        .put(at + 3, (byte) switch (memory.segment().name()) {
          case "fs" -> 1;
          case "gs" -> 2;
          default -> 0;
        }).put(at + 4, (byte) (isNarrow(memory, instruction) ? 1 : 0))
        .put(at + 5, (byte) (memory.written() ? 1 : 0))
        .putShort(at + 6, (short) (memory.widthBits() / 8))
        .putLong(at + 8, relative ? instruction.ripRelativeTarget().getAsLong() : memory.displacement());
  }

  /** Of the stack, also under a prefix, all of rsp counts. */
  private static boolean isNarrow(Operand.OfMemory memory, DecodedInstruction instruction) {
    return memory.base().or(memory::index).map(register -> register.widthBits() == 32)
        .orElse(instruction.addressSize() == 32);
  }

  private static byte number(Optional<Register> register) {
    return (byte) (int) register.flatMap(Register::gpr).map(Gpr::index).orElse(NO_REGISTER);
  }

  /** {@return the bytes of the original} */
  public byte[] code() {
    return code.clone();
  }

  /** {@return where the original is} */
  public long address() {
    return address;
  }

  /** {@return where the relocated code is} */
  public Place place() {
    return place;
  }

  /** {@return the relocated code} */
  public RelocatedCode relocated() {
    return relocated;
  }

  void write(MemorySegment memory, long at) {
    MemorySegment.copy(record, 0, memory, ValueLayout.JAVA_BYTE, at, record.length);
  }

  @Override
  public String toString() {
    return Hex.of(address) + ": " + HexFormat.ofDelimiter(" ").formatHex(code);
  }
}

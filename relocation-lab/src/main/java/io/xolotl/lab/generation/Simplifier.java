package io.xolotl.lab.generation;

import io.xolotl.decoder.DecodedInstruction;
import io.xolotl.decoder.Decoder;
import io.xolotl.lab.oracle.Case;
import io.xolotl.lab.oracle.MachineState;
import io.xolotl.lab.oracle.Region;
import io.xolotl.lab.oracle.VectorRegisters;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;

/**
 * Makes cases simpler, towards one instruction without prefixes that it does not need, zeros in its fields,
 * and {@link MachineState#PLAIN}.
 */
public final class Simplifier {

  private static final int LONGEST = 15;
  private static final int MOST_INSTRUCTIONS = 8;
  private static final int EXIT_BYTES = 5;

  /** Each makes a case simpler, or leaves it as it is. The boldest come first. */
  private static final List<UnaryOperator<Case>> STEPS = steps();

  private Simplifier() {}

  /**
   * {@return the cases that are simpler than one by one step, the boldest steps first} Every chain of steps
   * ends.
   *
   * @param subject a case
   */
  public static Stream<Case> simpler(Case subject) {
    long complexity = complexity(subject);
    return STEPS.stream().map(step -> step.apply(subject))
        .filter(simpler -> complexity(simpler) < complexity);
  }

  /**
   * Goes on to simpler cases for as long as they have a property.
   *
   * @param subject a case with the property
   * @param has the property, for instance that a difference still shows
   * @return a case with the property of which no simpler one has it
   */
  public static Case simplest(Case subject, Predicate<Case> has) {
    Case simplest = subject;
    Case before;
    do {
      before = simplest;
      for (UnaryOperator<Case> step : STEPS) {
        Case next = step.apply(simplest);
        if (complexity(next) < complexity(simplest) && has.test(next)) {
          simplest = next;
        }
      }
    } while (!simplest.equals(before));
    return simplest;
  }

  /**
   * {@return how far a case is from the simplest one; the cases of {@link #simpler} have less of it, or they
   * are left out}
   *
   * @param subject the case
   */
  public static long complexity(Case subject) {
    long complexity = (long) subject.instructions().size() << 32;
    for (byte b : subject.code()) {
      complexity += 1 << 16 | Integer.bitCount(Byte.toUnsignedInt(b)) << 8;
    }
    return complexity + complexity(subject.state());
  }

  private static long complexity(MachineState state) {
    MachineState plain = MachineState.PLAIN;
    long complexity = Long.bitCount(state.flags()) + Long.bitCount(state.fsBase())
        + Long.bitCount(state.gsBase());
    for (int i = 0; i < MachineState.GENERAL.size(); i++) {
      complexity += Long.bitCount(state.general(i) ^ plain.general(i));
      if (state.general(i) != plain.general(i) && state.general(i) != 1) {
        complexity++;
      }
    }
    for (Region region : Region.values()) {
      if (region.isWritable() && !Arrays.equals(state.memory(region), new byte[Region.BYTES])) {
        complexity += Region.BYTES;
      }
    }
    return complexity + state.vectors().distance(VectorRegisters.INITIAL);
  }

  private static List<UnaryOperator<Case>> steps() {
    var steps = new ArrayList<UnaryOperator<Case>>();
    for (int i = MOST_INSTRUCTIONS - 1; i >= 0; i--) {
      int number = i;
      steps.add(subject -> without(subject, number));
    }
    addStateSteps(steps);
    for (int i = 0; i < MOST_INSTRUCTIONS; i++) {
      int number = i;
      for (int j = LONGEST - 1; j >= 0; j--) {
        int prefix = j;
        steps.add(subject -> changed(subject, number, instruction -> withoutPrefix(instruction, prefix)));
      }
      steps.add(subject -> changed(subject, number, Simplifier::withoutImmediate));
      steps.add(subject -> changed(subject, number, Simplifier::withoutDisplacement));
    }
    return steps;
  }

  private static Case without(Case subject, int number) {
    List<byte[]> instructions = subject.instructions();
    if (instructions.size() == 1 || number >= instructions.size()) {
      return subject;
    }
    var fewer = new ArrayList<>(instructions);
    fewer.remove(number);
    return moved(subject, number, fewer, -instructions.get(number).length);
  }

  /** Changes one instruction, if it remains one with its mnemonic. */
  private static Case changed(Case subject, int number,
      Function<DecodedInstruction, byte[]> change) {
    List<byte[]> instructions = subject.instructions();
    if (number >= instructions.size()
        || !(Decoder.forThisCpu().decode(instructions.get(number),
            subject.addresses().get(number)) instanceof DecodedInstruction instruction)) {
      return subject;
    }
    byte[] code = change.apply(instruction);
    if (!(Decoder.forThisCpu().decode(code, instruction.address()) instanceof DecodedInstruction other
        && other.length() == code.length && other.mnemonic().equals(instruction.mnemonic()))) {
      return subject;
    }
    var all = new ArrayList<>(instructions);
    all.set(number, code);
    return moved(subject, number + 1, all, code.length - instruction.length());
  }

  /**
   * A case some of whose instructions have moved. What is relative to them stays where it is, and no branch
   * may lead into the case: a breakpoint is there when it is executed displaced.
   *
   * @param from the number of the first of them
   * @param distance how far
   */
  private static Case moved(Case subject, int from, List<byte[]> instructions, int distance) {
    var all = new ArrayList<>(instructions);
    for (int i = from; i < all.size(); i++) {
      all.set(i, retargeted(all.get(i), -distance));
    }
    Case moved = subject.with(all);
    long end = moved.address() + moved.code().length;
    List<Long> addresses = moved.addresses();
    for (int i = 0; i < all.size(); i++) {
      if (Decoder.forThisCpu().decode(all.get(i), addresses.get(i)) instanceof DecodedInstruction instruction
          && instruction.branchTarget().isPresent()) {
        long target = instruction.branchTarget().getAsLong();
        if (target >= moved.address() && target < end || target > end && target < end + EXIT_BYTES) {
          return subject;
        }
      }
    }
    return moved;
  }

  /**
   * The same instruction, with a distance added to what is relative to its end; if it has no room for that,
   * unchanged.
   */
  private static byte[] retargeted(byte[] code, int distance) {
    if (!(Decoder.forThisCpu().decode(code, 0) instanceof DecodedInstruction instruction)) {
      return code;
    }
    byte[] changed = code.clone();
    ByteBuffer buffer = ByteBuffer.wrap(changed).order(ByteOrder.LITTLE_ENDIAN);
    if (instruction.isRipRelative()) {
      int at = instruction.displacementOffset().getAsInt();
      buffer.putInt(at, buffer.getInt(at) + distance);
    } else if (instruction.branchTarget().isPresent()) {
      int at = instruction.immediateOffset().getAsInt();
      if (code.length - at == 1) {
        buffer.put(at, (byte) (buffer.get(at) + distance));
      } else if (code.length - at == 4) {
        buffer.putInt(at, buffer.getInt(at) + distance);
      }
    }
    return changed;
  }

  private static byte[] withoutPrefix(DecodedInstruction instruction, int position) {
    byte[] code = instruction.bytes();
    for (int i = 0; i <= position; i++) {
      if (i >= code.length || !isPrefix(code[i])) {
        return code;
      }
    }
    byte[] without = new byte[code.length - 1];
    System.arraycopy(code, 0, without, 0, position);
    System.arraycopy(code, position + 1, without, position, code.length - position - 1);
    if (Decoder.forThisCpu().decode(without, 0) instanceof DecodedInstruction other
        && other.length() == without.length) {
      return retargeted(without, 1);
    }
    return without;
  }

  private static boolean isPrefix(byte b) {
    int value = Byte.toUnsignedInt(b);
    return switch (value) {
      case 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3 -> true;
      default -> value >= 0x40 && value <= 0x4f;
    };
  }

  private static byte[] withoutImmediate(DecodedInstruction instruction) {
    byte[] code = instruction.bytes();
    if (instruction.branchTarget().isEmpty()) {
      instruction.immediateOffset().ifPresent(from -> Arrays.fill(code, from, code.length, (byte) 0));
    }
    return code;
  }

  private static byte[] withoutDisplacement(DecodedInstruction instruction) {
    byte[] code = instruction.bytes();
    if (!instruction.isRipRelative()) {
      instruction.displacementOffset().ifPresent(
          from -> Arrays.fill(code, from, instruction.immediateOffset().orElse(code.length), (byte) 0));
    }
    return code;
  }

  private static void addStateSteps(List<UnaryOperator<Case>> steps) {
    MachineState plain = MachineState.PLAIN;
    addStateStep(steps, state -> plain);
    addStateStep(steps, state -> state.withVectors(VectorRegisters.INITIAL));
    for (Region region : Region.values()) {
      if (region.isWritable()) {
        addStateStep(steps, state -> state.withMemory(region, new byte[0]));
      }
    }
    addStateStep(steps, state -> state.withFlags(0));
    addStateStep(steps, state -> state.withBases(0, state.gsBase()));
    addStateStep(steps, state -> state.withBases(state.fsBase(), 0));
    for (int i = 0; i < MachineState.GENERAL.size(); i++) {
      int register = i;
      addStateStep(steps, state -> state.withGeneral(register, plain.general(register)));
      addStateStep(steps, state -> Long.bitCount(state.general(register)) > 1
          && state.general(register) != plain.general(register) ? state.withGeneral(register, 1) : state);
    }
    for (long bit = 1; bit <= MachineState.FLAGS; bit <<= 1) {
      long flag = bit;
      addStateStep(steps, state -> state.withFlags(state.flags() & ~flag));
    }
    addVectorSteps(steps);
  }

  private static void addVectorSteps(List<UnaryOperator<Case>> steps) {
    VectorRegisters initial = VectorRegisters.INITIAL;
    addVectorStep(steps, vectors -> vectors.withMxcsr(initial.mxcsr()));
    addVectorStep(steps,
        vectors -> vectors.withX87(initial.x87Control(), initial.x87Status(), initial.x87Tags()));
    for (int i = 0; i < 8; i++) {
      int register = i;
      addVectorStep(steps, vectors -> vectors.withMask(register, 0));
      addVectorStep(steps, vectors -> vectors.withX87(register, initial.x87(register)));
    }
    for (int i = 0; i < VectorRegisters.VECTORS; i++) {
      int register = i;
      addVectorStep(steps, vectors -> vectors.withVector(register, initial.vector(register)));
    }
  }

  private static void addStateStep(List<UnaryOperator<Case>> steps, UnaryOperator<MachineState> change) {
    steps.add(subject -> subject.with(change.apply(subject.state())));
  }

  private static void addVectorStep(List<UnaryOperator<Case>> steps, UnaryOperator<VectorRegisters> change) {
    addStateStep(steps, state -> state.withVectors(change.apply(state.vectors())));
  }
}

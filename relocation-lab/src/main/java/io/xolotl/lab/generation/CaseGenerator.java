package io.xolotl.lab.generation;

import io.xolotl.decoder.BranchKind;
import io.xolotl.decoder.DecodedInstruction;
import io.xolotl.decoder.Gpr;
import io.xolotl.decoder.Operand;
import io.xolotl.decoder.Register;
import io.xolotl.lab.oracle.Case;
import io.xolotl.lab.oracle.MachineState;
import io.xolotl.lab.oracle.Region;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Optional;
import java.util.random.RandomGenerator;

/**
 * Draws cases: instructions, a state, and a place. Most memory operands lead to mapped memory or its edges,
 * branches to places where the oracle notices them, and counts of repeated instructions are small.
 */
public final class CaseGenerator {

  /** How many places there are that do not get in each other's way. */
  public static final int PLACES = 254;

  private static final int PLACES_OF_AREA = PLACES / 2;
  private static final int DISTANCE = 0x400;
  private static final int FIRST = 0x280;
  private static final int PAGE = 0x1000;
  private static final int EXIT_BYTES = 5;
  private static final int RCX = 1;

  private final InstructionGenerator instructions;
  private final int longestSequence;

  /**
   * Creates a generator.
   *
   * @param instructions draws the instructions
   * @param longestSequence how many instructions a case has at most
   */
  public CaseGenerator(InstructionGenerator instructions, int longestSequence) {
    this.instructions = instructions;
    this.longestSequence = longestSequence;
  }

  /** {@return the generator of the instructions} */
  public InstructionGenerator instructions() {
    return instructions;
  }

  /**
   * Draws a case.
   *
   * @param random where from
   * @param place 0 to {@link #PLACES} - 1; cases at different ones can be executed together
   * @return the case
   */
  public Case draw(RandomGenerator random, int place) {
    return draw(random, place, instructions);
  }

  private Case draw(RandomGenerator random, int place, InstructionGenerator from) {
    long address = address(random, place);
    MachineState state = StateGenerator.draw(random);
    int count = random.nextInt(4) == 0 ? 1 + random.nextInt(longestSequence) : 1;
    var code = new ArrayList<byte[]>();
    long next = address;
    for (int i = 0; i < count; i++) {
      DecodedInstruction instruction = aim(from.draw(random, next), address, random);
      if (i > 0 && InstructionFacts.savesVectors(instruction)) {
        continue;
      }
      state = aim(instruction, state, random);
      code.add(instruction.bytes());
      next = instruction.nextAddress();
      if (leadsAhead(instruction) || InstructionFacts.restoresVectors(instruction)) {
        break;
      }
    }
    return Case.of(code, state).at(address);
  }

  /**
   * Returns true if a branch may lead into the middle of an instruction behind it. There the bytes of another
   * instruction would be executed, and a breakpoint among them is no displacement of it.
   */
  private static boolean leadsAhead(DecodedInstruction instruction) {
    return switch (instruction.branchKind()) {
      case NONE -> false;
      default -> instruction.branchTarget().isEmpty()
          || instruction.branchTarget().getAsLong() > instruction.nextAddress();
    };
  }

  private static long address(RandomGenerator random, int place) {
    long area = place < PLACES_OF_AREA ? Case.HIGH_CODE : Case.LOW_CODE;
    long first = area + FIRST + (long) (place % PLACES_OF_AREA) * DISTANCE;
    long boundary = (first | PAGE - 1) + 1;
    if (boundary - first < DISTANCE / 2 && random.nextBoolean()) {
      return boundary - 1 - random.nextInt(14);
    }
    return first + random.nextInt(DISTANCE / 2);
  }

  /**
   * Makes displacements of operands and branches lead somewhere.
   *
   * @param start of the case, which no branch leads into
   */
  static DecodedInstruction aim(DecodedInstruction instruction, long start, RandomGenerator random) {
    byte[] code = instruction.bytes();
    ByteBuffer buffer = ByteBuffer.wrap(code).order(ByteOrder.LITTLE_ENDIAN);
    if (instruction.isRipRelative()) {
      Region region = instruction.addressSize() == 32 || instruction.address() < Region.LOW.end() * 2
          ? Region.LOW
          : StateGenerator.region(random);
      if (region == Region.LOW && instruction.address() >= Case.HIGH_CODE
          && instruction.addressSize() == 64) {
        region = Region.FAR;
      }
      long target = StateGenerator.address(random, region, memoryBytes(instruction));
      buffer.putInt(instruction.displacementOffset().getAsInt(), (int) (target - instruction.nextAddress()));
    } else if (instruction.branchTarget().isPresent()) {
      int offset = instruction.immediateOffset().getAsInt();
      int width = instruction.length() - offset;
      // Behind the exit or before the instruction, where there is nothing but int3; or to the exit itself.
      int distance = switch (random.nextInt(4)) {
        case 0 -> 0;
        case 1 -> EXIT_BYTES + random.nextInt(0x7f - EXIT_BYTES);
        default -> (int) (start - instruction.nextAddress()) - 1 - random.nextInt(0x20);
      };
      if (width == 1) {
        buffer.put(offset, (byte) distance);
      } else if (width == 2) {
        buffer.putShort(offset, (short) distance);
      } else if (width == 4) {
        buffer.putInt(offset, random.nextInt(4) == 0 ? (int) Region.NEAR.address() : distance);
      }
    } else {
      return instruction;
    }
    return InstructionFacts.decode(code, instruction.address());
  }

  /**
   * The same, but most relative branches lead so far behind the instruction.
   *
   * @param taken a distance that fits in a byte
   */
  static DecodedInstruction aim(DecodedInstruction instruction, long start, int taken,
      RandomGenerator random) {
    DecodedInstruction aimed = aim(instruction, start, random);
    int width = instruction.length() - instruction.immediateOffset().orElse(instruction.length());
    if (instruction.branchTarget().isEmpty() || width == 0 || random.nextInt(4) == 0) {
      return aimed;
    }
    byte[] code = aimed.bytes();
    for (int i = 0; i < width; i++) {
      code[code.length - width + i] = (byte) (i == 0 ? taken : 0);
    }
    return InstructionFacts.decode(code, instruction.address());
  }

  private static int memoryBytes(DecodedInstruction instruction) {
    return instruction.operands().stream().filter(Operand.OfMemory.class::isInstance)
        .mapToInt(o -> o.widthBits() / 8)
        .findFirst().orElse(0);
  }

  /**
   * Gives registers that an instruction uses as an address, a count or a target such values that something
   * happens.
   */
  static MachineState aim(DecodedInstruction instruction, MachineState state, RandomGenerator random) {
    MachineState aimed = state;
    if (instruction.isRepeated()) {
      aimed = aimed.withGeneral(RCX, random.nextInt(8) == 0 ? random.nextInt(0x300) : random.nextInt(20));
    }
    if (InstructionFacts.savesVectors(instruction)) {
      aimed = aimed.withVectors(StateGenerator.vectorsInUse(random));
    }
    for (Operand operand : instruction.operands()) {
      if (operand instanceof Operand.OfMemory memory && random.nextInt(8) != 0) {
        aimed = aim(memory, instruction, aimed, random);
      }
    }
    if (instruction.branchKind() == BranchKind.NEAR && instruction.branchTarget().isEmpty()) {
      aimed = aimBranch(instruction, aimed, random);
    }
    return aimed;
  }

  private static MachineState aim(Operand.OfMemory memory, DecodedInstruction instruction, MachineState state,
      RandomGenerator random) {
    Optional<Gpr> base = memory.base().flatMap(Register::gpr);
    if (base.isEmpty()) {
      return state;
    }
    MachineState aimed = state;
    int register = base.get().index();
    Optional<Gpr> index = memory.index().flatMap(Register::gpr);
    if (index.isPresent() && index.get() == base.get()) {
      return state;
    }
    boolean narrow = memory.base().get().widthBits() == 32;
    Region region = narrow
        ? Region.LOW
        : register == MachineState.RSP ? Region.STACK : StateGenerator.region(random);
    long target = StateGenerator.address(random, region, memory.widthBits() / 8);
    long indexed = index.map(gpr -> state.general(gpr.index()) * memory.scale()).orElse(0L);
    long value = target - memory.displacement() - indexed - segmentBase(memory, state);
    // The displacement that an implicit operand of push has is that of rsp afterwards.
    aimed = aimed.withGeneral(register, narrow ? value & 0xffff_ffffL | random.nextLong() << 32 : value);
    return aimed;
  }

  private static long segmentBase(Operand.OfMemory memory, MachineState state) {
    return switch (memory.segment().name()) {
      case "fs" -> state.fsBase();
      case "gs" -> state.gsBase();
      default -> 0;
    };
  }

  /** An indirect branch goes to the exit or to an int3, if its register or its memory is one of those. */
  private static MachineState aimBranch(DecodedInstruction instruction, MachineState state,
      RandomGenerator random) {
    long target = random.nextInt(6) == 0
        ? StateGenerator.number(random)
        : instruction.nextAddress() + (random.nextBoolean() ? 0 : EXIT_BYTES + random.nextInt(0x40));
    if (isPlaceForCode(target)) {
      target = instruction.nextAddress();
    }
    if (instruction.operands().getFirst() instanceof Operand.OfRegister register
        && register.register().gpr().isPresent()) {
      return state.withGeneral(register.register().gpr().get().index(), target);
    }
    MachineState aimed = state;
    for (Operand operand : instruction.operands()) {
      if (operand instanceof Operand.OfMemory memory && memory.read()) {
        long address = InstructionFacts.effectiveAddress(memory, instruction, aimed);
        for (Region region : Region.values()) {
          long offset = address - region.address();
          if (region.isWritable() && offset >= 0 && offset <= Region.BYTES - 8) {
            byte[] content = aimed.memory(region);
            ByteBuffer.wrap(content).order(ByteOrder.LITTLE_ENDIAN).putLong((int) offset, target);
            aimed = aimed.withMemory(region, content);
          }
        }
      }
    }
    return aimed;
  }

  private static boolean isPlaceForCode(long address) {
    return address >= 0 && address < Region.LOW.address();
  }
}

package consumer;

import io.xolotl.decoder.BranchKind;
import io.xolotl.decoder.DecodedInstruction;
import io.xolotl.decoder.Decoder;
import io.xolotl.lab.oracle.Displacer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Replaces instructions by jumps to copies, behind which a jump leads back: a whole relocator, and as small as one
 * can be. It leaves those alone that are shorter than a jump, and branches.
 */
final class JumpRelocator implements Displacer {

  private static final int JUMP_BYTES = 5;
  /** From an instruction to its copy: free memory of each case that has one instruction. */
  private static final int DISTANCE = 0x100;

  private final Decoder decoder = Decoder.forThisCpu();
  private final boolean adjusts;

  /**
   * A relocator.
   *
   * @param adjusts false for the mistake that everyone makes once: a copy of an operand that is relative to rip
   *     means other memory
   */
  JumpRelocator(boolean adjusts) {
    this.adjusts = adjusts;
  }

  @Override
  public Displacement displace(int pid, List<Long> addresses) {
    var memory = Path.of("/proc/" + pid + "/mem");
    var originals = new HashMap<Long, byte[]>();
    var refusals = new HashMap<Long, Refusal>();
    try (var channel = FileChannel.open(memory, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
      for (long address : addresses) {
        byte[] original = new byte[DISTANCE + 2 * Long.BYTES + JUMP_BYTES];
        channel.read(ByteBuffer.wrap(original), address);
        if (!(decoder.decode(original, address) instanceof DecodedInstruction instruction) || !isMovable(instruction)) {
          refusals.put(address,
              new Refusal(Kind.NOT_APPLICABLE, "a branch, too short for a jump, or too far from its operand"));
          continue;
        }
        originals.put(address, original);
        channel.write(jump(DISTANCE), address);
        channel.write(copy(instruction), address + DISTANCE);
        channel.write(jump(-DISTANCE), address + DISTANCE + instruction.length());
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return Displacer.displacement(refusals, () -> restore(memory, originals));
  }

  private static boolean isMovable(DecodedInstruction instruction) {
    return instruction.length() >= JUMP_BYTES && instruction.branchKind() == BranchKind.NONE
        && (!instruction.isRipRelative() || displacement(instruction) >= Integer.MIN_VALUE + DISTANCE);
  }

  private static int displacement(DecodedInstruction instruction) {
    return little(instruction.bytes()).getInt(instruction.displacementOffset().orElseThrow());
  }

  /** A jump over some bytes, counted from its own beginning. */
  private static ByteBuffer jump(int distance) {
    return little(new byte[JUMP_BYTES]).put((byte) 0xe9).putInt(distance - JUMP_BYTES).flip();
  }

  private ByteBuffer copy(DecodedInstruction instruction) {
    ByteBuffer copy = little(instruction.bytes());
    if (adjusts && instruction.isRipRelative()) {
      copy.putInt(instruction.displacementOffset().orElseThrow(), displacement(instruction) - DISTANCE);
    }
    return copy;
  }

  private static ByteBuffer little(byte[] bytes) {
    return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  private static void restore(Path memory, Map<Long, byte[]> originals) {
    try (var channel = FileChannel.open(memory, StandardOpenOption.WRITE)) {
      for (var each : originals.entrySet()) {
        channel.write(ByteBuffer.wrap(each.getValue()), each.getKey());
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}

package io.xolotl.xol.site;

import io.xolotl.decoder.DecodedInstruction;
import io.xolotl.decoder.Effect;
import io.xolotl.decoder.RelocationPolicy;
import io.xolotl.decoder.Technique;
import io.xolotl.ptrace.Abi;
import io.xolotl.ptrace.MemoryMapping;
import io.xolotl.ptrace.Registers;
import io.xolotl.ptrace.TracedThread;
import io.xolotl.xol.code.Lease;
import io.xolotl.xol.code.TracerThread;
import io.xolotl.xol.displacement.Displacement;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A probed address: what was there, and how it is executed now. Owned by the tracer thread.
 */
@TracerThread
public final class Site {

  public final DecodedInstruction instruction;
  /** The instruction and what follows it, as far as it can be executed: 1 to 15 bytes. */
  final byte[] code;
  /** The first eight bytes of the code, lowest first. */
  private final long word;
  public final RelocationPolicy policy;
  private final Effect effect;
  public final Displacement displacement;

  /** What was mapped at the address when it was last looked at. */
  Backing backing;

  /** The breakpoint is in the program's memory. Only {@link Sites} changes it. */
  boolean installed;

  /** A hit may be in a restartable sequence that is not known: the thread that hits is asked. */
  boolean watched;

  /** The next instruction is the first of a restartable sequence. */
  boolean entersSequence;

  /**
   * The site of the instruction around, as of a lock prefix that a branch leaves out: without a breakpoint
   * there, a thread would execute ours with the prefix in front of it, which raises SIGILL. Null as a rule.
   */
  @Nullable
  Site guard;
  /** The sites that this one guards. */
  final List<Site> guarded = new ArrayList<>(0);

  private @Nullable Object attachment;

  Site(DecodedInstruction instruction, MemoryMapping mapping, byte[] code, RelocationPolicy policy,
      Effect effect, Displacement displacement) {
    this.instruction = instruction;
    backing = Backing.of(mapping, instruction.address());
    this.code = code;
    word = ByteBuffer.wrap(Arrays.copyOf(code, Long.BYTES)).order(ByteOrder.LITTLE_ENDIAN).getLong();
    this.policy = policy;
    this.effect = effect;
    this.displacement = displacement;
  }

  /** What the instruction does. */
  public Effect effect() {
    return effect;
  }

  public long address() {
    return instruction.address();
  }

  /** Returns true if the breakpoint must stay as long as another is there. */
  public boolean isGuard() {
    return !guarded.isEmpty();
  }

  /**
   * Nobody uses the site any more.
   *
   * @return the site that guarded it, if it guards no other; null if none
   */
  @Nullable
  public Site leaveGuard() {
    Site before = guard;
    guard = null;
    return before != null && before.guarded.remove(this) && !before.isGuard() ? before : null;
  }

  public boolean isInstalled() {
    return installed;
  }

  /** Returns true if a thread that hits the site must be asked for a restartable sequence. */
  public boolean isWatched() {
    return watched;
  }

  /** What the user of the site has attached, as threads have something attached. */
  @Nullable
  public Object attachment() {
    return attachment;
  }

  public void attachment(Object replacement) {
    attachment = replacement;
  }

  public Technique technique() {
    return displacement.technique();
  }

  /** There is no breakpoint, and there will be none: the slot goes when no thread pins it. */
  void retire() {
    installed = false;
    Lease lease = displacement.lease();
    if (lease != null) {
      lease.retire();
    }
  }

  /**
   * Returns true if a thread with these registers is in code of the kind that the instruction was decoded as.
   */
  public boolean runsIn(Registers registers) {
    return switch (instruction.mode()) {
      case LONG_64 -> Abi.X86_64.isOf(registers);
      case COMPAT_32 -> Abi.I386.isOf(registers);
    };
  }

  byte originalByte() {
    return instruction.bytes()[0];
  }

  /**
   * Returns true if bytes at this address hold the site's breakpoint. It is there as long as nobody has
   * written to the memory or mapped other memory, whose content alone tells then: a program may move its code
   * to other memory at the same address, with the breakpoint in it.
   *
   * @param bytes at least one
   * @param mapped what is mapped there now
   */
  boolean isIn(byte[] bytes, Backing mapped) {
    if (bytes[0] != Breakpoints.INT3) {
      return false;
    }
    boolean sameMemory = mapped.equals(backing);
    if (sameMemory && !mapped.isAnonymous()) {
      return true;
    }
    int comparable = 0;
    int equal = 0;
    for (int i = 1; i < bytes.length; i++) {
      if (code[i] != Breakpoints.INT3) {
        comparable++;
        equal += bytes[i] == code[i] ? 1 : 0;
      }
    }
    // Nothing tells that other anonymous memory was mapped there meanwhile but that no byte is the same,
    // however the program patches its code. Where the memory is other for certain, it takes more to believe
    // that it holds the same code.
    return sameMemory ? equal > 0 || comparable == 0 : equal > 0 && equal >= comparable / 2;
  }

  /**
   * Returns true if bytes are this code with a breakpoint in front, and perhaps others behind it. Only its
   * content tells what memory is that is not the site's own.
   *
   * @param bytes as many as {@link #code} has, or fewer if they cannot be read
   */
  boolean resembles(byte[] bytes) {
    if (bytes[0] != Breakpoints.INT3) {
      return false;
    }
    int equal = 0;
    for (int i = 1; i < bytes.length; i++) {
      if (bytes[i] == code[i]) {
        equal++;
      } else if (bytes[i] != Breakpoints.INT3) {
        return false;
      }
    }
    return bytes.length == code.length && equal >= bytes.length / 2;
  }

  /**
   * Returns true if the instruction behind the breakpoint is still the one that was displaced: the program
   * may have changed its operand, as inline caches and static calls are changed. One byte is the breakpoint
   * alone.
   */
  public boolean isFresh(TracedThread thread) {
    int length = instruction.length();
    return length == 1
        || length <= Long.BYTES && thread.isText(address(), word, -1L << 8 & -1L >>> Long.SIZE - 8 * length)
        || thread.process().memory().matches(address() + 1, code, 1, length);
  }
}

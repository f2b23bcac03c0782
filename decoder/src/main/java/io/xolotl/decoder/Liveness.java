package io.xolotl.decoder;

import io.xolotl.decoder.Effect.Call;
import io.xolotl.decoder.Effect.ConditionalJump;
import io.xolotl.decoder.Effect.EipRelative;
import io.xolotl.decoder.Effect.IndirectCall;
import io.xolotl.decoder.Effect.IndirectJump;
import io.xolotl.decoder.Effect.Jump;
import io.xolotl.decoder.Effect.LoadAddress;
import io.xolotl.decoder.Effect.Loop;
import io.xolotl.decoder.Effect.Nop;
import io.xolotl.decoder.Effect.Plain;
import io.xolotl.decoder.Effect.PopFlags;
import io.xolotl.decoder.Effect.PushFlags;
import io.xolotl.decoder.Effect.PushRegister;
import io.xolotl.decoder.Effect.Repeated;
import io.xolotl.decoder.Effect.Return;
import io.xolotl.decoder.Effect.RipRelative;
import io.xolotl.decoder.Effect.SystemCall;
import java.util.ArrayDeque;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Set;

/**
 * Which flags and general registers the instructions at an address do not need: on each way from there they
 * are overwritten before they are read. Only what is proven counts. Everything else is live: what is read
 * behind a return, an indirect branch, a system call, an instruction that is refused, the end of the code
 * that is known, or too many instructions.
 *
 * <p>Who interrupts the code sees the registers that it does not need, too: a handler of a signal, also of
 * one that an instruction of the code raises, and a debugger.
 *
 * @param deadFlags those of {@link #FLAGS} that are not needed
 * @param deadRegisters the general registers that are not needed, never rsp
 */
public record Liveness(long deadFlags, Set<Gpr> deadRegisters) {

  /** The flags that are looked at: CF, PF, AF, ZF, SF and OF. */
  public static final long FLAGS = 0x1 | 0x4 | 0x10 | 0x40 | 0x80 | 0x800;

  private static final long CF = 0x1;
  private static final long AF = 0x10;
  private static final long OF = 0x800;

  /** How many instructions are looked at. */
  private static final int MOST_INSTRUCTIONS = 256;

  /** Both in one word: flags where rflags has them, registers by their numbers above. */
  private static final int REGISTERS = 16;
  private static final long ALL = FLAGS | 0xffffL << REGISTERS;
  private static final int NARROWEST = 32;

  /**
   * Instructions that give flags values which depend on their operands alone (Intel SDM, volume 2), always:
   * none whose count may be 0, and no flag that is undefined, which a CPU may leave alone.
   */
  private static final Map<String, Long> FLAG_WRITERS = flagWriters();

  /** Instructions that always replace the registers that they write, and need not read them. */
  private static final Set<String> REPLACING = Set.of("mov", "movzx", "movsx", "movsxd", "lea", "pop", "imul",
      "mul", "cdq", "cqo", "popcnt", "rorx", "sarx", "shlx", "shrx", "andn", "bextr", "blsi", "blsr",
      "blsmsk",
      "pdep", "pext", "mulx", "movd", "movq", "vmovd", "vmovq", "movmskpd", "movmskps", "pmovmskb",
      "vmovmskpd", "vmovmskps", "vpmovmskb", "cvtsd2si", "cvtss2si", "cvttsd2si", "cvttss2si", "rdtsc");

  /** Makes a copy. */
  public Liveness {
    deadRegisters = Set.copyOf(deadRegisters);
  }

  private static Map<String, Long> flagWriters() {
    var writers = new HashMap<String, Long>();
    for (String all : new String[]{"add", "adc", "sub", "sbb", "cmp", "neg", "xadd", "popcnt", "ptest",
        "vptest", "comiss", "comisd", "ucomiss", "ucomisd", "vcomiss", "vcomisd", "vucomiss", "vucomisd"}) {
      writers.put(all, FLAGS);
    }
    for (String logical : new String[]{"and", "or", "xor", "test"}) {
      writers.put(logical, FLAGS & ~AF);
    }
    writers.put("inc", FLAGS & ~CF);
    writers.put("dec", FLAGS & ~CF);
    writers.put("sahf", FLAGS & ~OF);
    for (String carry : new String[]{"bt", "bts", "btr", "btc", "clc", "stc"}) {
      writers.put(carry, CF);
    }
    return Map.copyOf(writers);
  }

  /**
   * {@return what is not needed at an address}
   *
   * @param code of 64-bit code, all that may be looked at
   * @param start the address of its first byte
   * @param address of an instruction in it
   * @throws IndexOutOfBoundsException if the address is not in the code
   */
  public static Liveness at(byte[] code, long start, long address) {
    Objects.checkIndex(address - start, (long) code.length);
    long live = new Search(code, start).live(address);
    var dead = EnumSet.noneOf(Gpr.class);
    for (Gpr gpr : Gpr.values()) {
      if (gpr != Gpr.RSP && (live & bit(gpr)) == 0) {
        dead.add(gpr);
      }
    }
    return new Liveness(FLAGS & ~live, dead);
  }

  private static long bit(Gpr gpr) {
    return 1L << REGISTERS + gpr.index();
  }

  /** Follows all ways, each with what is not decided yet. */
  private static final class Search {

    private final byte[] code;
    private final long start;
    /** What was undecided already when an address was come to. */
    private final Map<Long, Long> seen = new HashMap<>();
    private final ArrayDeque<Way> ways = new ArrayDeque<>();
    private int instructions;
    private long live;

    private record Way(long address, long undecided) {}

    Search(byte[] code, long start) {
      this.code = code;
      this.start = start;
    }

    long live(long address) {
      go(address, ALL);
      while (!ways.isEmpty() && live != ALL) {
        Way way = ways.removeFirst();
        if (++instructions > MOST_INSTRUCTIONS || !isKnown(way.address)
            || !(Decoder.forThisCpu().decode(code, (int) (way.address - start),
                (int) Math.min(code.length - (way.address - start), Integer.MAX_VALUE),
                way.address) instanceof DecodedInstruction instruction)) {
          live |= way.undecided;
        } else {
          follow(instruction, way.undecided);
        }
      }
      return live;
    }

    private boolean isKnown(long address) {
      return address - start >= 0 && address - start < code.length;
    }

    /** What is decided on all ways from there, or live on one, needs no second look. */
    private void go(long address, long undecided) {
      long before = seen.getOrDefault(address, 0L);
      if ((undecided & ~before & ~live) != 0) {
        seen.put(address, before | undecided);
        ways.addLast(new Way(address, undecided));
      }
    }

    private void follow(DecodedInstruction instruction, long undecided) {
      if (!(Classification.of(instruction,
          RelocationPolicy.FULL) instanceof Classification.Accept(var effect))) {
        live |= undecided;
        return;
      }
      live |= undecided & reads(instruction);
      long left = undecided & ~reads(instruction) & ~writes(instruction);
      long next = instruction.nextAddress();
      switch (effect) {
        case Plain _, Repeated _, RipRelative _, EipRelative _, Nop _, PushRegister _, LoadAddress _ ->
          go(next, left);
        case Jump(long target) -> go(target, left);
        // Where it is, and what the callee does; what is behind it is reached by a return.
        case Call(long target, _) -> go(target, left);
        case ConditionalJump(_, long target) -> {
          go(target, left);
          go(next, left);
        }
        case Loop(_, _, long target) -> {
          go(target, left);
          go(next, left);
        }
        case PushFlags _ -> {
          live |= undecided & FLAGS;
          go(next, left & ~FLAGS);
        }
        case PopFlags _ -> go(next, left & ~FLAGS);
        case SystemCall _, IndirectJump _, IndirectCall _, Return _ -> live |= left;
      }
    }

    private static boolean isZeroing(DecodedInstruction instruction) {
      return switch (instruction.mnemonic()) {
        case "xor", "sub" -> instruction.operands().get(0) instanceof Operand.OfRegister first
            && instruction.operands().get(1) instanceof Operand.OfRegister second
            && first.register().equals(second.register()) && first.widthBits() >= NARROWEST;
        default -> false;
      };
    }

    private static long reads(DecodedInstruction instruction) {
      long reads = instruction.flagsRead() & FLAGS;
      if (isZeroing(instruction)) {
        return reads;
      }
      for (Register register : instruction.registersRead()) {
        reads |= register.gpr().map(Liveness::bit).orElse(0L);
      }
      return reads;
    }

    private static long writes(DecodedInstruction instruction) {
      long writes = FLAG_WRITERS.getOrDefault(instruction.mnemonic(), 0L);
      if (!REPLACING.contains(instruction.mnemonic()) && !isZeroing(instruction)) {
        return writes;
      }
      for (Operand operand : instruction.operands()) {
        if (operand instanceof Operand.OfRegister register && register.written()
            && register.widthBits() >= NARROWEST) {
          writes |= register.register().gpr().map(Liveness::bit).orElse(0L);
        }
      }
      return writes;
    }
  }
}

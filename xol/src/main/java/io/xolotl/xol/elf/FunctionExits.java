package io.xolotl.xol.elf;

import io.xolotl.decoder.Classification;
import io.xolotl.decoder.DecodedInstruction;
import io.xolotl.decoder.Effect;
import io.xolotl.decoder.Gpr;
import io.xolotl.decoder.Operand;
import io.xolotl.decoder.Register;
import io.xolotl.decoder.RelocationPolicy;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;

/**
 * Looks for the exits of a function, those of the pieces among them that the compiler has moved away, as
 * {@code f.cold}. Used once, by one thread, within {@link InstructionStarts}.
 */
final class FunctionExits {

  private static final int MOST_EXITS = 1 << 12;
  /** Pieces that are looked at, of which one function has two or three. */
  private static final int MOST_PIECES = 64;
  private static final int MOST_NAMES = 8;
  /** How many instructions in front of an indirect jump load its target from a table. */
  private static final int TABLE_LOOK_UP = 4;
  private static final byte NOTRACK = 0x3e;

  private final InstructionStarts code;
  private final SymbolTable symbols;
  private final ElfSource source;
  private final List<UnwindTable.Range> parts = new ArrayList<>();
  private final Set<Long> pieces = new HashSet<>();
  private final List<FunctionBody.Exit> exits = new ArrayList<>();
  private final List<Long> conditional = new ArrayList<>();
  private boolean understood = true;
  private boolean complete = true;
  private boolean repeats;
  /** The function's first address. */
  private long start;

  FunctionExits(InstructionStarts code, SymbolTable symbols, ElfSource source) {
    this.code = code;
    this.symbols = symbols;
    this.source = source;
  }

  /** The exits of the function around an address of the file; null if it is not understood as a whole. */
  @Nullable
  FunctionBody body(long address, long bias) {
    UnwindTable.Range main = code.regionAround(address);
    if (main == null) {
      return null;
    }
    start = address;
    parts.add(main);
    addNamedPieces(address);
    if (main.catches() && parts.size() == 1 && !symbols.areComplete()) {
      // Where exceptions are caught may have been moved away, and only the unwinder leads there.
      complete = false;
    }
    // The list grows while it is walked through.
    for (int i = 0; i < parts.size(); i++) {
      Deque<DecodedInstruction> before = new ArrayDeque<>();
      UnwindTable.Range part = parts.get(i);
      // What is reached is known before it is asked about what is in between.
      code.isReached(source, part.start());
      code.isReached(source, part.end() - 1);
      boolean decoded = code.decode(source, part, instruction -> {
        look(instruction, before, part);
        before.addFirst(instruction);
        if (before.size() > TABLE_LOOK_UP) {
          before.removeLast();
        }
      });
      if (!decoded || !understood || exits.size() + conditional.size() > MOST_EXITS) {
        return null;
      }
      findPieces();
    }
    exits.removeIf(
        exit -> exit.effect() instanceof Effect.Jump(long target) && target != start && isWithin(target));
    complete &= conditional.stream().allMatch(this::isWithin);
    complete &= exits.stream().allMatch(exit -> code.isReached(source, exit.address()));
    return new FunctionBody(exits.stream().filter(exit -> code.isReached(source, exit.address()))
        .sorted(Comparator.comparingLong(FunctionBody.Exit::address))
        .map(exit -> new FunctionBody.Exit(bias + exit.address(), switch (exit.effect()) {
          case Effect.Jump(long target) -> new Effect.Jump(bias + target);
          default -> exit.effect();
        })).toList(), complete, repeats);
  }

  private boolean isWithin(long address) {
    return parts.stream().anyMatch(part -> part.start() <= address && address < part.end());
  }

  private void look(DecodedInstruction instruction, Deque<DecodedInstruction> before,
      UnwindTable.Range part) {
    understood &= code.fits(source, instruction);
    Optional<Effect> effect = effect(instruction);
    switch (instruction.category()) {
      case "ret", "uncond_br" -> {
        switch (effect.orElse(null)) {
          case Effect.Return _, Effect.Jump _ ->
            exits.add(new FunctionBody.Exit(instruction.address(), effect.get()));
          case Effect.IndirectJump _ -> complete &= isSwitch(instruction, before);
          case null, default -> understood = false;
        }
      }
      case "cond_br" -> instruction.branchTarget().ifPresent(target -> {
        repeats |= target == start;
        if (target < part.start() || target >= part.end()) {
          conditional.add(target);
        }
      });
      default -> {
        // It goes on behind it, or comes back.
      }
    }
  }

  private static Optional<Effect> effect(DecodedInstruction instruction) {
    return Classification.of(instruction,
        RelocationPolicy.FULL) instanceof Classification.Accept(Effect effect)
            ? Optional.of(effect)
            : Optional.empty();
  }

  /**
   * Whether an indirect jump is a {@code switch}: it says that it needs no landing (CET), or an entry of four
   * bytes was loaded, sign-extended and added to what is its target. A table of whole addresses may as well
   * have functions in it.
   */
  private static boolean isSwitch(DecodedInstruction jump, Deque<DecodedInstruction> before) {
    if (jump.bytes()[0] == NOTRACK) {
      return true;
    }
    return jump.operands().getFirst() instanceof Operand.OfRegister target && target.register().gpr()
        .filter(gpr -> before.stream().anyMatch(each -> loadsEntry(each, gpr))
            && before.stream().anyMatch(each -> each.mnemonic().equals("add") && writes(each, gpr)))
        .isPresent();
  }

  private static boolean loadsEntry(DecodedInstruction instruction, Gpr gpr) {
    return instruction.mnemonic().equals("movsxd") && writes(instruction, gpr)
        && instruction.operands().get(1) instanceof Operand.OfMemory memory && memory.scale() == 4;
  }

  private static boolean writes(DecodedInstruction instruction, Gpr gpr) {
    return instruction.registersWritten().stream().map(Register::gpr)
        .anyMatch(written -> written.equals(Optional.of(gpr)));
  }

  /** Adds the pieces of the function that its branches lead to. */
  private void findPieces() {
    var targets = new ArrayList<>(conditional);
    exits.forEach(exit -> target(exit.effect()).ifPresent(targets::add));
    for (long target : targets) {
      UnwindTable.Range piece = isWithin(target) ? null : code.regionAround(target);
      boolean fresh = piece != null && pieces.size() < MOST_PIECES && pieces.add(piece.start());
      if (piece != null && fresh && belongs(piece)) {
        parts.add(piece);
      }
    }
  }

  private static OptionalLong target(Effect effect) {
    return effect instanceof Effect.Jump(long target) ? OptionalLong.of(target) : OptionalLong.empty();
  }

  /** What GCC and LLVM move away from a function, as they name it. */
  private void addNamedPieces(long address) {
    SymbolTable.Code function = symbols.functionAt(address);
    if (function == null) {
      return;
    }
    for (SymbolEntry entry : function.entries().subList(0, Math.min(MOST_NAMES, function.entries().size()))) {
      for (int i = -1; i < MOST_NAMES; i++) {
        for (SymbolEntry piece : symbols.named(entry.name() + ".cold" + (i < 0 ? "" : "." + i))) {
          UnwindTable.Range range = piece.isTyped() ? code.regionAround(piece.address()) : null;
          if (range != null && pieces.size() < MOST_PIECES && !isWithin(range.start())
              && pieces.add(range.start())) {
            parts.add(range);
          }
        }
      }
    }
  }

  /**
   * Whether what has no such name belongs to the function all the same: it branches into the middle of it, as
   * no other function does; or it never returns, so that nothing is missed.
   */
  private boolean belongs(UnwindTable.Range piece) {
    UnwindTable.Range main = parts.getFirst();
    var leadsBack = new AtomicBoolean();
    var leaves = new AtomicBoolean();
    return code.decode(source, piece, instruction -> {
      OptionalLong target = instruction.branchTarget();
      boolean within = target.isPresent() && target.getAsLong() >= piece.start()
          && target.getAsLong() < piece.end();
      switch (instruction.category()) {
        case "ret", "uncond_br", "cond_br" -> {
          if (target.isPresent() && target.getAsLong() > main.start() && target.getAsLong() < main.end()) {
            leadsBack.set(true);
          } else if (!within) {
            leaves.set(true);
          }
        }
        default -> {
          // It goes on behind it, or comes back.
        }
      }
    }) && (leadsBack.get() || !leaves.get());
  }
}

package io.xolotl.xol.displacement;

import io.xolotl.decoder.DecodedInstruction;
import io.xolotl.decoder.Effect;
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
import io.xolotl.decoder.RelocationPolicy;
import io.xolotl.decoder.ScratchRegister;
import io.xolotl.decoder.Technique;
import io.xolotl.xol.code.CodeArea;
import io.xolotl.xol.code.ErrandException;
import io.xolotl.xol.code.Lease;
import io.xolotl.xol.code.TracerThread;
import org.jspecify.annotations.Nullable;

/**
 * Makes the displacement of an instruction: finds a slot from which its copy works, and writes the copy.
 * Tracer thread only.
 */
@TracerThread
public final class Displacements {

  private final CodeArea area;

  public Displacements(CodeArea area) {
    this.area = area;
  }

  /**
   * Makes a displacement.
   *
   * @param effect what the instruction does
   * @param technique applicable to it; where no jump gets back from a copy, TRAPPED takes the place of
   *     BOOSTED
   * @return null if there is no memory for a copy within reach of the instruction, or of its operand where no
   *     register can stand for rip
   * @throws ErrandException if the copy needs new memory, and no thread can map any
   */
  @Nullable
  public Displacement of(DecodedInstruction instruction, Effect effect, Technique technique,
      RelocationPolicy policy) {
    if (technique == Technique.EMULATED) {
      return emulated(instruction, effect, needsCopy(instruction, effect, technique, policy));
    }
    if (technique == Technique.BOOSTED) {
      Copy boosted = boosted(instruction, effect);
      if (boosted != null) {
        return new Boosted(boosted, new Trapped(boosted), new SingleStepped(boosted));
      }
    }
    Copy copy = copy(instruction, effect);
    if (copy == null) {
      return null;
    }
    return technique == Technique.SINGLE_STEPPED ? new SingleStepped(copy) : new Trapped(copy);
  }

  /** What is emulated needs a copy for rare cases only, and does without where seccomp allows none. */
  private @Nullable Emulated emulated(DecodedInstruction instruction, Effect effect,
      boolean wantsFallback) {
    if (!wantsFallback) {
      return new Emulated(effect, instruction, null, false);
    }
    try {
      Copy copy = copy(instruction, effect);
      return copy == null
          ? null
          : new Emulated(effect, instruction,
              effect.changesRip() ? new SingleStepped(copy) : new Trapped(copy), true);
    } catch (ErrandException e) {
      if (!e.isForbidden()) {
        throw e;
      }
      return new Emulated(effect, instruction, null, true);
    }
  }

  /**
   * Returns true if a displacement uses a slot: also where the effect is computed, for the case that its
   * memory access faults and the CPU must execute it.
   */
  static boolean needsCopy(DecodedInstruction instruction, Effect effect, Technique technique,
      RelocationPolicy policy) {
    if (technique != Technique.EMULATED) {
      return true;
    }
    return policy.allowsCopy(instruction) && switch (effect) {
      case Nop _, LoadAddress _, Jump _, ConditionalJump _, Loop _ -> false;
      case Call _, IndirectJump _, IndirectCall _, Return _, PushRegister _, PushFlags _, PopFlags _ -> true;
      case Plain _, Repeated _, RipRelative _, EipRelative _, SystemCall _ -> true;
    };
  }

  /**
   * A copy with a jump back, in reach of both, the operand and the way back; null if there is no such place.
   */
  private @Nullable Copy boosted(DecodedInstruction instruction, Effect effect) {
    if (instruction.isRipRelative() && instruction.addressSize() != 64) {
      return null;
    }
    long address = instruction.address();
    long half = (instruction.ripRelativeTarget().orElse(address) - address) / 2;
    Lease lease = area.take(address + half, CodeArea.REACH - Math.abs(half),
        slot -> Relocator.bytes(instruction, slot) != null && Relocator.jumpBack(instruction, slot) != null);
    byte[] back = lease == null ? null : Relocator.jumpBack(instruction, lease.address());
    return lease == null || back == null ? null : written(instruction, effect, lease, back);
  }

  /** A copy with a trap behind it; with a scratch register where its operand is out of reach. */
  private @Nullable Copy copy(DecodedInstruction instruction, Effect effect) {
    long address = instruction.address();
    if (!instruction.isRipRelative() || instruction.addressSize() == 64) {
      Lease lease = area.take(instruction.ripRelativeTarget().orElse(address), CodeArea.REACH,
          slot -> Relocator.bytes(instruction, slot) != null);
      if (lease != null) {
        return written(instruction, effect, lease, new byte[0]);
      }
    }
    ScratchRegister scratch = instruction.isRipRelative()
        ? ScratchRegister.of(instruction).orElse(null)
        : null;
    Lease lease = scratch == null ? null : area.take(address, CodeArea.REACH, _ -> true);
    if (scratch == null || lease == null) {
      return null;
    }
    area.write(lease, scratch.bytes(), new byte[0]);
    return Copy.withScratch(scratch, effect, lease);
  }

  private Copy written(DecodedInstruction instruction, Effect effect, Lease lease,
      byte[] following) {
    byte[] bytes = Relocator.bytes(instruction, lease.address());
    if (bytes == null) {
      throw new IllegalStateException("the slot was taken because it suits");
    }
    area.write(lease, bytes, following);
    return Copy.plain(instruction, effect, lease);
  }
}

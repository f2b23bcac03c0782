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
import java.util.Optional;

/**
 * How a displaced instruction is executed.
 *
 * <pre>
 *   classification                       chosen           applicable besides
 *   ------------------------------------ ---------------- -----------------------------------
 *   copy, re-displace                    BOOSTED          TRAPPED, SINGLE_STEPPED
 *     rep                                TRAPPED          SINGLE_STEPPED
 *   scratch register                     TRAPPED          SINGLE_STEPPED
 *   emulate: nop, push, pushf, lea       EMULATED         BOOSTED, TRAPPED, SINGLE_STEPPED
 *   emulate: popf                        EMULATED         TRAPPED
 *   emulate: branches                    EMULATED         SINGLE_STEPPED
 *   fix up: syscall, int 0x80            SINGLE_STEPPED
 * </pre>
 *
 * <p>A repeated string instruction may be interrupted in its middle, and its thread then stays in the copy
 * until the end: at the trap behind the copy that is noticed. popf under the trap flag makes the kernel take
 * that flag for the program's own. A system call is stepped because the step ends, too, where the call does
 * not return behind the copy (rt_sigreturn). Under {@link RelocationPolicy#STRICT} nothing with a
 * RIP-relative operand is copied.
 */
public enum Technique {

  /** Its effect is computed on the saved registers; nothing is executed out of line. One stop a hit. */
  EMULATED,

  /** A copy with a jump back behind it is run; nothing needs to be corrected afterwards. One stop a hit. */
  BOOSTED,

  /**
   * A copy with a breakpoint behind it is run. Two stops a hit, also for repeated string instructions.
   */
  TRAPPED,

  /**
   * A copy is run with the CPU's trap flag. Two stops a hit, for a repeated string instruction one an
   * iteration. The reference that the others are compared with.
   */
  SINGLE_STEPPED;

  /**
   * The technique that is chosen for an instruction by itself. Another one may be used because of where the
   * copy is: from too far away no jump gets back.
   *
   * @param classification what happens to the instruction out of line
   * @return empty if it is refused
   */
  public static Optional<Technique> chosenFor(Classification classification) {
    return switch (classification) {
      case Classification.Accept(Effect effect) -> Optional.of(chosenFor(effect));
      case Classification.Refuse _ -> Optional.empty();
    };
  }

  private static Technique chosenFor(Effect effect) {
    return switch (effect) {
      case Plain _, RipRelative _ -> BOOSTED;
      case Repeated _, EipRelative _ -> TRAPPED;
      case SystemCall _ -> SINGLE_STEPPED;
      case Jump _, ConditionalJump _, Loop _, Call _, IndirectJump _, IndirectCall _, Return _ -> EMULATED;
      case Nop _, PushRegister _, LoadAddress _, PushFlags _, PopFlags _ -> EMULATED;
    };
  }

  /**
   * {@return true if an instruction can be executed in this way where its copy may be anywhere}
   *
   * @param instruction the instruction
   * @param classification what happens to it out of line under the policy
   * @param policy whether copies may be changed
   */
  public boolean isApplicable(DecodedInstruction instruction, Classification classification,
      RelocationPolicy policy) {
    return switch (classification) {
      case Classification.Accept(Effect effect) -> isApplicable(instruction, effect, policy);
      case Classification.Refuse _ -> false;
    };
  }

  private boolean isApplicable(DecodedInstruction instruction, Effect effect, RelocationPolicy policy) {
    return switch (effect.outcome()) {
      case COPY, RE_DISPLACE, SCRATCH_REGISTER ->
        this == TRAPPED || this == SINGLE_STEPPED || this == chosenFor(effect);
      case FIX_UP -> this == SINGLE_STEPPED;
      case EMULATE -> this == EMULATED || policy.allowsCopy(instruction) && switch (this) {
        case EMULATED -> true;
        // popf may set the trap flag, which would trap behind the jump.
        case BOOSTED -> !effect.changesRip() && !(effect instanceof PopFlags);
        case TRAPPED -> !effect.changesRip();
        case SINGLE_STEPPED -> !(effect instanceof PopFlags);
      };
      case REFUSE -> throw new IllegalStateException(effect + " is accepted");
    };
  }
}

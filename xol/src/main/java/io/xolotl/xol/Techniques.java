package io.xolotl.xol;

import io.xolotl.decoder.Classification;
import io.xolotl.decoder.Emulation;
import io.xolotl.decoder.Emulation.Call;
import io.xolotl.decoder.Emulation.ConditionalJump;
import io.xolotl.decoder.Emulation.IndirectCall;
import io.xolotl.decoder.Emulation.IndirectJump;
import io.xolotl.decoder.Emulation.Jump;
import io.xolotl.decoder.Emulation.LoadAddress;
import io.xolotl.decoder.Emulation.Loop;
import io.xolotl.decoder.Emulation.Nop;
import io.xolotl.decoder.Emulation.PopFlags;
import io.xolotl.decoder.Emulation.PushFlags;
import io.xolotl.decoder.Emulation.PushRegister;
import io.xolotl.decoder.Emulation.Return;
import io.xolotl.decoder.Instruction;
import io.xolotl.decoder.RelocationPolicy;
import org.jspecify.annotations.Nullable;

/**
 * The one place where the technique of a site is chosen.
 *
 * <pre>
 *   classification                       chosen           can be forced to
 *   ------------------------------------ ---------------- -----------------------------------
 *   copy, re-displace                    BOOSTED          TRAPPED, SINGLE_STEPPED
 *     no jump gets back, or rep          TRAPPED          SINGLE_STEPPED
 *   scratch register                     TRAPPED          SINGLE_STEPPED
 *   emulate: nop, push, pushf, lea       EMULATED         BOOSTED, TRAPPED, SINGLE_STEPPED
 *   emulate: popf                        EMULATED         TRAPPED
 *   emulate: branches                    EMULATED         SINGLE_STEPPED
 *   fix up: syscall, int 0x80            SINGLE_STEPPED
 * </pre>
 *
 * <p>A repeated string instruction may be interrupted in its middle, and the thread then stays in the slot
 * until the end: at the trap behind the copy that is noticed. popf under the trap flag makes the kernel take
 * that flag for the program's own. A system call is stepped because the step ends, too, where the call does
 * not return behind the copy (rt_sigreturn). Under STRICT nothing with a RIP-relative operand is copied.
 */
final class Techniques {

  private Techniques() {}

  static Technique choose(Instruction instruction, Classification classification, ProbeRequest request) {
    Technique natural = switch (classification) {
      case Classification.Copy _, Classification.ReDisplace _ ->
        instruction.isRepeated() ? Technique.TRAPPED : Technique.BOOSTED;
      case Classification.ScratchRegister _ -> Technique.TRAPPED;
      case Classification.Emulate _ -> Technique.EMULATED;
      case Classification.FixUp _ -> Technique.SINGLE_STEPPED;
      case Classification.Refuse _ ->
        throw new IllegalArgumentException("a refused instruction has no technique");
    };
    Technique technique = request.technique().orElse(natural);
    if (technique != natural && !applies(technique, instruction, classification, request.policy())) {
      throw notApplicable(instruction, technique, natural);
    }
    return technique;
  }

  static ProbeException notApplicable(Instruction instruction, Technique forced, Technique natural) {
    return new ProbeException(ProbeException.Reason.TECHNIQUE_NOT_APPLICABLE, instruction.address(),
        "'" + instruction.text() + "' at 0x" + Long.toHexString(instruction.address())
            + " cannot be executed "
            + forced + "; without being told, the engine uses " + natural);
  }

  static boolean applies(Technique technique, Instruction instruction, Classification classification,
      RelocationPolicy policy) {
    return switch (classification) {
      case Classification.Copy _, Classification.ReDisplace _, Classification.ScratchRegister _ ->
        technique == Technique.TRAPPED || technique == Technique.SINGLE_STEPPED;
      case Classification.Emulate(Emulation emulation) ->
        mayBeCopied(instruction, policy) && switch (technique) {
          case EMULATED -> true;
          // popf may set the trap flag, which would trap behind the jump.
          case BOOSTED -> !OutOfLine.changesRip(emulation) && !(emulation instanceof Emulation.PopFlags);
          case TRAPPED -> !OutOfLine.changesRip(emulation);
          case SINGLE_STEPPED -> !(emulation instanceof Emulation.PopFlags);
        };
      case Classification.FixUp _, Classification.Refuse _ -> false;
    };
  }

  /**
   * Returns true if a thread gets from an instruction into a restartable sequence that begins behind it. The
   * kernel aborts the sequence if the thread was stopped since the instruction was executed, or has begun to
   * be, so that it would come back to the instruction for ever. Only a boosted copy runs on without a stop;
   * and a jump goes elsewhere.
   */
  static boolean goesOnInto(Technique technique, @Nullable Emulation emulation) {
    return technique == Technique.BOOSTED || emulation instanceof Jump || emulation instanceof IndirectJump
        || emulation instanceof Return;
  }

  /**
   * Returns true if a site needs a slot: also where the effect is computed, for the case that its memory
   * access faults and the CPU must execute it.
   */
  static boolean needsCopy(Classification classification, Technique technique, RelocationPolicy policy,
      Instruction instruction) {
    if (technique != Technique.EMULATED
        || !(classification instanceof Classification.Emulate(Emulation emulation))) {
      return true;
    }
    return mayBeCopied(instruction, policy) && switch (emulation) {
      case Nop _, LoadAddress _ -> false;
      case Jump _, ConditionalJump _, Loop _ -> false;
      case Call _, IndirectJump _, IndirectCall _, Return _, PushRegister _, PushFlags _, PopFlags _ ->
        true;
    };
  }

  private static boolean mayBeCopied(Instruction instruction, RelocationPolicy policy) {
    return !instruction.isRipRelative() || policy == RelocationPolicy.FULL;
  }
}

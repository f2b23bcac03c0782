package io.xolotl.decoder;

import java.util.HexFormat;
import java.util.Locale;

/** Classifications as the data files write them. */
final class Rendering {

  private static final HexFormat HEX = HexFormat.ofDelimiter(" ");

  private Rendering() {}

  static String of(Classification classification) {
    String label = classification.outcome().label();
    return switch (classification) {
      case Classification.Accept(Effect effect) -> (label + " " + of(effect)).strip();
      case Classification.Refuse r -> label + " " + r.reason();
    };
  }

  private static String scratch(ScratchRegister scratch) {
    return "%s 0x%x %s".formatted(name(scratch.register()), scratch.value(), HEX.formatHex(scratch.bytes()));
  }

  private static String of(Effect effect) {
    return switch (effect) {
      case Effect.Plain() -> "";
      case Effect.Repeated() -> "repeated";
      case Effect.RipRelative(int offset, long target, var alternative) -> "%d 0x%x".formatted(offset, target)
          + alternative.map(register -> " or " + scratch(register)).orElse("");
      case Effect.EipRelative(ScratchRegister register) -> scratch(register);
      case Effect.SystemCall(var kind) -> kind.name();
      case Effect.Nop() -> "nop";
      case Effect.Jump(long target) -> "jump 0x%x".formatted(target);
      case Effect.ConditionalJump(ConditionCode condition, long target) ->
        "jump-if %s 0x%x".formatted(condition, target);
      case Effect.Loop(LoopKind kind, int size, long target) ->
        "loop %s %d 0x%x".formatted(kind, size, target);
      case Effect.Call(long target, int width) -> "call 0x%x".formatted(target) + narrow(width);
      case Effect.IndirectJump(BranchSource source, int width) ->
        "indirect-jump " + of(source) + narrow(width);
      case Effect.IndirectCall(BranchSource source, int width) ->
        "indirect-call " + of(source) + narrow(width);
      case Effect.Return(int extra, int width) -> "return " + extra + narrow(width);
      case Effect.PushRegister(Gpr register, int width) -> "push " + name(register) + narrow(width);
      case Effect.LoadAddress(Gpr to, int width, long address) ->
        "load %s %d 0x%x".formatted(name(to), width, address);
      case Effect.PushFlags(int width) -> "push-flags " + width;
      case Effect.PopFlags(int width) -> "pop-flags " + width;
    };
  }

  private static String narrow(int width) {
    return width == 64 ? "" : ", " + width + " bits";
  }

  private static String of(BranchSource source) {
    return switch (source) {
      case BranchSource.Register(Gpr register) -> name(register);
      case BranchSource.Memory m -> {
        String segment = m.segment() == Segment.NONE ? "" : m.segment().name().toLowerCase(Locale.ROOT) + ":";
        String base = m.base().map(Rendering::name).orElse("");
        String index = m.index().map(i -> (base.isEmpty() ? "" : "+") + name(i) + "*" + m.scale()).orElse("");
        String registers = base + index;
        String sign = registers.isEmpty() ? "" : m.displacement() < 0 ? "-" : "+";
        yield "%s[%s%s0x%x] %d".formatted(segment, registers, sign, Math.abs(m.displacement()),
            m.addressSize());
      }
    };
  }

  private static String name(Gpr gpr) {
    return gpr.name().toLowerCase(Locale.ROOT);
  }
}

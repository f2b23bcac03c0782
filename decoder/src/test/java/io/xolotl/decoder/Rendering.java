package io.xolotl.decoder;

import java.util.HexFormat;
import java.util.Locale;

/** Classifications as the data files write them. */
final class Rendering {

  private static final HexFormat HEX = HexFormat.ofDelimiter(" ");

  private Rendering() {}

  static String of(Decoding decoding, Classification classification) {
    String label = classification.outcome().label();
    return switch (classification) {
      case Classification.Copy _ ->
        decoding instanceof DecodedInstruction i && i.isRepeated() ? label + " repeated" : label;
      case Classification.ReDisplace r -> "%s %d 0x%x".formatted(label, r.displacementOffset(), r.target())
          + r.alternative().map(s -> " or " + scratch(s)).orElse("");
      case Classification.ScratchRegister s -> label + " " + scratch(s);
      case Classification.Emulate e -> label + " " + of(e.emulation());
      case Classification.FixUp f -> label + " " + f.kind();
      case Classification.Refuse r -> label + " " + r.reason();
    };
  }

  private static String scratch(Classification.ScratchRegister scratch) {
    return "%s 0x%x %s".formatted(name(scratch.register()), scratch.value(), HEX.formatHex(scratch.bytes()));
  }

  private static String of(Emulation emulation) {
    return switch (emulation) {
      case Emulation.Nop() -> "nop";
      case Emulation.Jump(long target) -> "jump 0x%x".formatted(target);
      case Emulation.ConditionalJump(ConditionCode condition, long target) ->
        "jump-if %s 0x%x".formatted(condition, target);
      case Emulation.Loop(LoopKind kind, int size, long target) ->
        "loop %s %d 0x%x".formatted(kind, size, target);
      case Emulation.Call(long target, int width) -> "call 0x%x".formatted(target) + narrow(width);
      case Emulation.IndirectJump(BranchSource source, int width) ->
        "indirect-jump " + of(source) + narrow(width);
      case Emulation.IndirectCall(BranchSource source, int width) ->
        "indirect-call " + of(source) + narrow(width);
      case Emulation.Return(int extra, int width) -> "return " + extra + narrow(width);
      case Emulation.PushRegister(Gpr register, int width) -> "push " + name(register) + narrow(width);
      case Emulation.LoadAddress(Gpr to, int width, long address) ->
        "load %s %d 0x%x".formatted(name(to), width, address);
      case Emulation.PushFlags(int width) -> "push-flags " + width;
      case Emulation.PopFlags(int width) -> "pop-flags " + width;
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

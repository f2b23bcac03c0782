package io.xolotl.decoder;

import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.decoder.backend.Layout;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Assume;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.From;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.Tuple;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.lifecycle.AddLifecycleHook;
import net.jqwik.api.statistics.Statistics;
import net.jqwik.api.statistics.StatisticsReport;

/** What holds for all bytes. The seeds are fixed, so that every run tests the same. */
@AddLifecycleHook(WithZydis.class)
class ClassificationProperties {

  private static final VarHandle INT = MethodHandles.byteArrayViewVarHandle(int[].class,
      ByteOrder.LITTLE_ENDIAN);

  private static final List<Decoder> DECODERS = List.of(Decoder.of(MachineMode.LONG_64, CpuVendor.AMD, false),
      Decoder.of(MachineMode.LONG_64, CpuVendor.INTEL, false),
      Decoder.of(MachineMode.LONG_64, CpuVendor.INTEL, true),
      Decoder.of(MachineMode.COMPAT_32, CpuVendor.INTEL, false));

  private static final Decoder DECODER = DECODERS.getFirst();

  @Property(tries = 20_000, seed = "1")
  void everythingIsClassifiedAndAlwaysTheSame(@ForAll @From("code") byte[] code, @ForAll long address,
      @ForAll @From("decoders") Decoder decoder, @ForAll RelocationPolicy policy) {
    Decoding decoding = decoder.decode(code, address);
    Classification classification = Classification.of(decoding, policy);
    assertThat(classification).isEqualTo(decoder.classify(code, 0, code.length, address, policy));
    assertThat(Rendering.of(classification)).startsWith(classification.outcome().label());
    assertThat(decoding.length()).isBetween(1, 15);
    assertThat(decoding.bytes()).isEqualTo(Arrays.copyOf(code, decoding.length()));
    if (decoding instanceof DecodedInstruction instruction) {
      assertThat(instruction.text()).isNotEmpty();
      assertThat(instruction.operands()).hasSizeLessThanOrEqualTo(10);
    }
  }

  /** What is plain leads behind itself, names no place, and has no rule of its own. */
  @Property(tries = 50_000, seed = "8")
  void whatIsPlainHidesNothing(@ForAll @From("code") byte[] code, @ForAll @From("decoders") Decoder decoder) {
    Assume.that(decoder.decode(code, 0x1000) instanceof DecodedInstruction);
    var instruction = (DecodedInstruction) decoder.decode(code, 0x1000);
    Assume.that(Classification.of(instruction, RelocationPolicy.FULL)
        .equals(new Classification.Accept(new Effect.Plain())));
    assertThat(instruction.branchKind()).isEqualTo(BranchKind.NONE);
    assertThat(instruction.isRipRelative()).isFalse();
    assertThat(instruction.isRepeated()).isFalse();
    assertThat(instruction.isPrivileged()).isFalse();
    assertThat(instruction.mnemonic()).isNotIn("syscall", "sysenter", "int", "int3", "pushf", "pushfd",
        "pushfq",
        "popf", "popfd", "popfq", "iretq", "xbegin");
    assertThat(instruction.operands().stream().filter(Operand::written)
        .filter(operand -> operand instanceof Operand.OfRegister(var register, _, _, _, _)
            && List.of("rip", "eip", "ss").contains(register.name())))
        .isEmpty();
  }

  @Property(tries = 50_000, seed = "7")
  void aCursorSeesTheSame(@ForAll @From("code") byte[] code, @ForAll long address,
      @ForAll @From("decoders") Decoder decoder, @ForAll RelocationPolicy policy) {
    CodeCursor cursor = decoder.cursor(code, address);
    Decoding decoding = decoder.decode(code, address);
    assertThat(cursor.moveTo(0)).isEqualTo(decoding instanceof DecodedInstruction)
        .isEqualTo(cursor.isInstruction());
    assertThat(cursor.decoding()).isEqualTo(decoding);
    assertThat(cursor.length()).isEqualTo(decoding.length());
    assertThat(cursor.address()).isEqualTo(address);
    assertThat(cursor.outcome(policy)).isEqualTo(Classification.of(decoding, policy).outcome());
  }

  @Property(tries = 20_000, seed = "2")
  void strictNeverChangesACopy(@ForAll @From("relative") byte[] code, @ForAll long address) {
    Classification strict = DECODER.classify(code, 0, code.length, address, RelocationPolicy.STRICT);
    assertThat(strict.outcome()).isNotIn(Outcome.RE_DISPLACE, Outcome.SCRATCH_REGISTER);
    Classification full = DECODER.classify(code, 0, code.length, address, RelocationPolicy.FULL);
    boolean fixedUp = full.outcome() == Outcome.RE_DISPLACE || full.outcome() == Outcome.SCRATCH_REGISTER;
    assertThat(strict)
        .isEqualTo(fixedUp ? new Classification.Refuse(Refusal.RIP_RELATIVE_UNDER_STRICT) : full);
  }

  @Property(tries = 20_000, seed = "3")
  void whatIsCutShortIsTruncated(@ForAll @From("code") byte[] code) {
    Assume.that(DECODER.decode(code, 0) instanceof DecodedInstruction);
    int length = DECODER.decode(code, 0).length();
    for (int cut = 0; cut < length; cut++) {
      assertThat(DECODER.decode(code, 0, cut, 0)).isInstanceOfSatisfying(Undecodable.class,
          undecodable -> assertThat(undecodable.reason()).isEqualTo(Undecodable.Reason.TRUNCATED));
    }
  }

  /** Some byte leads on, and then another, until there is an instruction. */
  @Property(tries = 20_000, seed = "8", maxDiscardRatio = 20)
  void whatIsTruncatedCanBeContinued(@ForAll @From("code") byte[] code,
      @ForAll @IntRange(max = 14) int length, @ForAll @From("decoders") Decoder any) {
    // Zydis' own answer depends on the order in which it looks.
    Decoder decoder = any.with(Decoder.Implementation.TABLES);
    byte[] bytes = Arrays.copyOf(code, Layout.MAX_LENGTH);
    int end = length;
    Assume.that(isTruncated(decoder.decode(bytes, 0, end, 0)));
    while (isTruncated(decoder.decode(bytes, 0, end, 0))) {
      assertThat(end).isLessThan(Layout.MAX_LENGTH);
      assertThat(leadsOn(decoder, bytes, end)).isTrue();
      end++;
    }
    assertThat(decoder.decode(bytes, 0, end, 0)).isInstanceOf(DecodedInstruction.class);
  }

  /** What is refused for another reason than its end is refused with any byte behind it. */
  @Property(tries = 20_000, seed = "9", maxDiscardRatio = 20)
  void whatIsRefusedStaysRefused(@ForAll @From("code") byte[] code, @ForAll @IntRange(max = 14) int length,
      @ForAll @From("decoders") Decoder any) {
    Decoder decoder = any.with(Decoder.Implementation.TABLES);
    byte[] bytes = Arrays.copyOf(code, Layout.MAX_LENGTH);
    Decoding decoding = decoder.decode(bytes, 0, length, 0);
    Assume.that(decoding instanceof Undecodable && !isTruncated(decoding));
    assertThat(leadsOn(decoder, bytes, length)).isFalse();
  }

  private static boolean isTruncated(Decoding decoding) {
    return decoding instanceof Undecodable undecodable
        && undecodable.reason() == Undecodable.Reason.TRUNCATED;
  }

  /** Puts the first byte there that leads to an instruction, or on the way to one. */
  private static boolean leadsOn(Decoder decoder, byte[] bytes, int end) {
    for (int next = 0; next < 256; next++) {
      bytes[end] = (byte) next;
      Decoding decoding = decoder.decode(bytes, 0, end + 1, 0);
      if (decoding instanceof DecodedInstruction || isTruncated(decoding)) {
        return true;
      }
    }
    return false;
  }

  @Property(tries = 100_000, seed = "4", maxDiscardRatio = 20)
  void displacementIsWhereItIsSaidToBe(@ForAll @From("relative") byte[] code, @ForAll long address) {
    Assume.that(DECODER.classify(code, 0, code.length, address,
        RelocationPolicy.FULL).outcome() == Outcome.RE_DISPLACE);
    var original = (DecodedInstruction) DECODER.decode(code, address);
    var plan = (Effect.RipRelative) ((Classification.Accept) Classification.of(original,
        RelocationPolicy.FULL)).effect();
    assertThat(plan.target())
        .isEqualTo(original.nextAddress() + (int) INT.get(code, plan.displacementOffset()));
    // As the engine does it: the copy lies elsewhere, and its displacement is rewritten to reach the same
    // target.
    long copyAddress = address + 0x1000;
    byte[] copy = original.bytes();
    INT.set(copy, plan.displacementOffset(), (int) (plan.target() - (copyAddress + copy.length)));
    var copied = (DecodedInstruction) DECODER.decode(copy, copyAddress);
    assertThat(copied.mnemonic()).isEqualTo(original.mnemonic());
    assertThat(copied.length()).isEqualTo(original.length());
    boolean reachable = plan.target()
        - (copyAddress + copy.length) == (int) INT.get(copy, plan.displacementOffset());
    Assume.that(reachable);
    assertThat(copied.ripRelativeTarget()).hasValue(plan.target());
  }

  @Property(tries = 100_000, seed = "5", maxDiscardRatio = 20)
  @StatisticsReport(StatisticsReport.StatisticsReportMode.OFF)
  void scratchCopyDiffersInItsBaseOnly(@ForAll @From("relative") byte[] code, @ForAll long address) {
    Optional<ScratchRegister> plan = scratchRegister(
        DECODER.classify(code, 0, code.length, address, RelocationPolicy.FULL));
    Assume.that(plan.isPresent());
    var original = (DecodedInstruction) DECODER.decode(code, address);
    Gpr scratch = plan.get().register();
    assertThat(original.uses(scratch)).isFalse();
    assertThat(scratch).isNotEqualTo(Gpr.RSP);

    var copy = (DecodedInstruction) DECODER.decode(plan.get().bytes(), address);
    assertThat(copy.length()).isEqualTo(original.length());
    assertThat(copy.mnemonic()).isEqualTo(original.mnemonic());
    assertThat(copy.encoding()).isEqualTo(original.encoding());
    Statistics.collect(original.encoding());
    Statistics.coverage(coverage -> List.of(Encoding.LEGACY, Encoding.VEX, Encoding.EVEX, Encoding.XOP)
        .forEach(encoding -> coverage.check(encoding).count(count -> count > 300)));
    assertThat(copy.isRipRelative()).isFalse();
    assertThat(copy.operands())
        .isEqualTo(original.operands().stream().map(o -> withBase(o, scratch, copy)).toList());
    long displacement = copy.operands().stream().filter(Operand.OfMemory.class::isInstance)
        .map(Operand.OfMemory.class::cast)
        .filter(m -> m.base().flatMap(Register::gpr).equals(Optional.of(scratch)))
        .findFirst().orElseThrow().displacement();
    long reached = plan.get().value() + displacement;
    assertThat(original.addressSize() == 32 ? reached & 0xffff_ffffL : reached)
        .isEqualTo(original.ripRelativeTarget().orElseThrow());
  }

  private static Operand withBase(Operand operand, Gpr scratch, DecodedInstruction copy) {
    if (operand instanceof Operand.OfMemory m && m.base().isPresent()
        && m.base().get().name().endsWith("ip")) {
      Register base = DECODER.registers().stream()
          .filter(r -> r.gpr().equals(Optional.of(scratch)) && r.widthBits() == copy.addressSize())
          .findFirst()
          .orElseThrow();
      // rbp as a base makes ss the default segment, which has base 0 as ds has.
      Register segment = scratch == Gpr.RBP && m.segment().name().equals("ds")
          ? DECODER.registers().stream().filter(r -> r.name().equals("ss")).findFirst()
              .orElseThrow()
          : m.segment();
      return new Operand.OfMemory(segment, Optional.of(base), m.index(), m.scale(), m.displacement(),
          m.addressOnly(),
          m.widthBits(), m.visibility(), m.read(), m.written());
    }
    return operand;
  }

  private static Optional<ScratchRegister> scratchRegister(Classification classification) {
    return switch (classification) {
      case Classification.Accept(Effect.RipRelative relative) -> relative.alternative();
      case Classification.Accept(Effect.EipRelative relative) -> Optional.of(relative.scratch());
      case Classification.Accept _, Classification.Refuse _ -> Optional.empty();
    };
  }

  @Provide
  Arbitrary<Decoder> decoders() {
    return Arbitraries.of(DECODERS);
  }

  /** Random bytes, often behind a prefix. */
  @Provide
  Arbitrary<byte[]> code() {
    return Combinators.combine(prefixes(), bytes(20)).as(ClassificationProperties::join);
  }

  /** Prefixes and a random opcode in one of the encodings, then a modrm byte that says RIP-relative. */
  @Provide
  Arbitrary<byte[]> relative() {
    Arbitrary<byte[]> legacy = Combinators.combine(prefixes(), opcodes()).as(ClassificationProperties::join);
    // Other prefixes are no good in front of these.
    Arbitrary<byte[]> others = Arbitraries.of(0x67, 0x64, 0x2e).map(Integer::byteValue).array(byte[].class)
        .ofMaxSize(1);
    Arbitrary<byte[]> vex = Combinators.combine(others, vexOpcodes()).as(ClassificationProperties::join);
    return Combinators
        .combine(Arbitraries.oneOf(legacy, vex), Arbitraries.integers().between(0, 7), bytes(14))
        .as((opcode, reg, rest) -> join(opcode, join(new byte[]{(byte) (reg << 3 | 5)}, rest)));
  }

  private static Arbitrary<byte[]> prefixes() {
    Arbitrary<Byte> prefix = Arbitraries
        .of(0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x40, 0x41, 0x42,
            0x44, 0x48, 0x49, 0x4d, 0x4f)
        .map(Integer::byteValue);
    return prefix.array(byte[].class).ofMaxSize(3);
  }

  private static Arbitrary<byte[]> opcodes() {
    return Arbitraries.oneOf(bytes(1), bytes(1).map(b -> join(escape(0x0f), b)),
        bytes(1).map(b -> join(escape(0x0f, 0x38), b)), bytes(1).map(b -> join(escape(0x0f, 0x3a), b)));
  }

  private static Arbitrary<byte[]> vexOpcodes() {
    // Most instructions want vvvv to be 1111.
    Arbitrary<byte[]> payload = Combinators.combine(bytes(2), Arbitraries.of(0x00, 0x78)).as((b, vvvv) -> {
      b[0] |= vvvv;
      return b;
    });
    Arbitrary<byte[]> vex2 = bytes(2).map(b -> join(escape(0xc5), b));
    Arbitrary<byte[]> vex3 = prefixed(0xc4, 0xe0, List.of(1, 2, 3), payload);
    Arbitrary<byte[]> xop = prefixed(0x8f, 0xe0, List.of(8, 9, 10), payload.map(b -> {
      b[0] &= 0x7c;
      return b;
    }));
    // Bit 2 of the second payload byte is always set, or it is no EVEX; a mask of 0, no zeroing, V' clear.
    Arbitrary<byte[]> evex = prefixed(0x62, 0xf0, List.of(1, 2, 3, 5, 6),
        Combinators.combine(payload, Arbitraries.of(0x08, 0x28, 0x48, 0x49, 0x58))
            .as((b, last) -> new byte[]{(byte) (b[0] | 0x04), last.byteValue(), b[1]}));
    return Arbitraries.frequencyOf(Tuple.of(1, vex2), Tuple.of(1, vex3), Tuple.of(3, evex), Tuple.of(3, xop));
  }

  /** A prefix whose second byte has random bits under a mask, and one of the opcode maps below it. */
  private static Arbitrary<byte[]> prefixed(int first, int mask, List<Integer> maps, Arbitrary<byte[]> rest) {
    return Combinators.combine(Arbitraries.bytes().withoutEdgeCases(), Arbitraries.of(maps), rest)
        .as((random, map, bytes) -> join(escape(first, random & mask | map), bytes));
  }

  private static byte[] escape(int... bytes) {
    byte[] escape = new byte[bytes.length];
    for (int i = 0; i < bytes.length; i++) {
      escape[i] = (byte) bytes[i];
    }
    return escape;
  }

  private static Arbitrary<byte[]> bytes(int count) {
    return Arbitraries.bytes().withoutEdgeCases().array(byte[].class).ofSize(count);
  }

  private static byte[] join(byte[] a, byte[] b) {
    byte[] joined = Arrays.copyOf(a, a.length + b.length);
    System.arraycopy(b, 0, joined, a.length, b.length);
    return joined;
  }
}

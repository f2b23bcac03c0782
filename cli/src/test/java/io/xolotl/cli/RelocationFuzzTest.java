package io.xolotl.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.decoder.DecodedInstruction;
import io.xolotl.lab.fuzzing.RelocationFuzzer;
import io.xolotl.lab.fuzzing.RelocationReport;
import io.xolotl.lab.generation.InstructionDealer;
import io.xolotl.lab.oracle.Case;
import io.xolotl.lab.oracle.CodeRelocator;
import io.xolotl.lab.oracle.Comparison;
import io.xolotl.lab.oracle.MachineState;
import io.xolotl.lab.oracle.Oracle;
import io.xolotl.lab.oracle.PairOracle;
import io.xolotl.lab.oracle.Place;
import io.xolotl.lab.oracle.RelocatedCode;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Relocated code does what the original does, and the oracle that says so notices mistakes of every kind. */
class RelocationFuzzTest {

  private static final CodeRelocator PRODUCT = new ProductRelocator();
  private static final long EXECUTIONS = 10_000_000;
  /** How many pairs a mutant may execute until it is found. */
  private static final int MOST_PAIRS = 5_000;
  private static final int FEWEST_MNEMONICS = 500;

  private static RelocationReport fuzz(CodeRelocator relocator, InstructionDealer dealer, long seed,
      long executions, int cpus) {
    try (var fuzzer = new RelocationFuzzer(relocator, dealer, seed, cpus)) {
      return fuzzer.run(executions, _ -> true);
    }
  }

  @Test
  void instructionsOfAllKindsDoTheSameRelocated() {
    RelocationReport report = fuzz(PRODUCT, InstructionDealer.ofAll(),
        Long.getLong("fuzz.seed", 20_101_123), Long.getLong("fuzz.executions", EXECUTIONS),
        Runtime.getRuntime().availableProcessors());
    System.out.println("fuzz: " + report);
    assertThat(report.findings()).as("%s", report).isEmpty();
    assertThat(report.dropped()).isZero();
    assertThat(report.deaths()).isEmpty();
    // What a look closer does not find again is rare: only what interrupts do is not the same twice.
    assertThat(report.transientOnes()).isLessThan(report.executions() / 100_000);
    assertThat(report.onThisCpu()).hasSizeGreaterThan(FEWEST_MNEMONICS);
    assertThat(report.outcomes().keySet()).contains("completed", "SIGSEGV", "SIGFPE", "SIGBUS", "SIGTRAP",
        "SIGSYS", "SIGILL");
    assertThat(report.mnemonics()).doesNotContainKeys("wrpkru", "vmcall");
    assertThat(report.reasons()).containsKeys("wrpkru", "syscall");
  }

  /** All follows from the seed, also on another number of CPUs, where units are executed in another order. */
  @Test
  void theSameSeedGivesTheSame() {
    RelocationReport one = fuzz(PRODUCT, InstructionDealer.ofAll(), 5, 400_000, 1);
    RelocationReport two = fuzz(PRODUCT, InstructionDealer.ofAll(), 5, 400_000, 2);
    assertThat(two.digest()).isEqualTo(one.digest());
    assertThat(two.executions()).isEqualTo(one.executions());
    assertThat(two.outcomes()).isEqualTo(one.outcomes());
    assertThat(two.mnemonics()).isEqualTo(one.mnemonics());
    // Behind the survey, too, which few mnemonics have soon.
    InstructionDealer dealer = InstructionDealer.of(List.of("adc", "movaps", "vaddps", "pop"));
    RelocationReport few = fuzz(PRODUCT, dealer, 5, 500_000, 1);
    assertThat(few.units() * PairOracle.PAIRS).isGreaterThan(2 * dealer.surveyed());
    assertThat(fuzz(PRODUCT, dealer, 5, 500_000, 2).digest()).isEqualTo(few.digest());
    assertThat(fuzz(PRODUCT, InstructionDealer.ofAll(), 6, 400_000, 2).digest())
        .isNotEqualTo(one.digest());
  }

  /** What a mutant executes before the right code. */
  private static CodeRelocator before(String hex) {
    byte[] prefix = HexFormat.of().parseHex(hex.replace(" ", ""));
    return (instruction, address) -> PRODUCT.relocate(instruction, address + prefix.length)
        .filter(code -> code.code().length + prefix.length <= RelocatedCode.MOST_BYTES)
        .map(code -> RelocatedCode.of(
            ByteBuffer.allocate(prefix.length + code.code().length).put(prefix).put(code.code()).array(),
            offset -> offset < prefix.length
                ? new RelocatedCode.Fault(0, 0)
                : code.fault(offset - prefix.length)));
  }

  /** The right code with other bytes. */
  private static CodeRelocator changed(UnaryOperator<byte[]> change) {
    return (instruction, address) -> PRODUCT.relocate(instruction, address)
        .map(code -> RelocatedCode.of(change.apply(code.code()), code::fault));
  }

  private static byte[] with(byte[] code, int offset, int xor) {
    byte[] changed = code.clone();
    changed[offset] ^= (byte) xor;
    return changed;
  }

  private static Optional<RelocatedCode> elsewhere(DecodedInstruction instruction, long address) {
    return instruction.ripRelativeTarget().isEmpty()
        ? Optional.empty()
        : PRODUCT.relocate(instruction, address + 8);
  }

  private static Optional<RelocatedCode> faultsBehind(DecodedInstruction instruction, long address) {
    return PRODUCT.relocate(instruction, address).map(code -> RelocatedCode.of(code.code(),
        offset -> new RelocatedCode.Fault(code.fault(offset).offset() == 0 ? 1 : code.fault(offset).offset(),
            code.fault(offset).stackBytes())));
  }

  private static Optional<RelocatedCode> comesBackToTheBranchTarget(DecodedInstruction instruction,
      long address) {
    return PRODUCT.relocate(instruction, address).map(code -> {
      byte[] bytes = code.code();
      int at = bytes.length - 5;
      if (at >= 0 && bytes[at] == (byte) 0xe9) {
        ByteBuffer view = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        view.putInt(at + 1, view.getInt(at + 1) + 0x40);
      }
      return RelocatedCode.of(bytes, code::fault);
    });
  }

  private static final List<String> SOME = List.of("add", "adc", "mov", "movaps", "fadd", "lea", "movsb",
      "xchg",
      "cmp", "setz", "vaddps", "addps", "shl", "fnstsw", "fnstcw", "rdfsbase", "rdgsbase", "push", "pop");

  /** In one of sixteen places: each hang takes milliseconds. */
  private static Optional<RelocatedCode> neverComesOut(DecodedInstruction instruction, long address) {
    return (instruction.address() >> 10) % 16 == 3
        ? Optional
            .of(RelocatedCode.of(new byte[]{(byte) 0xeb, (byte) 0xfe}, _ -> new RelocatedCode.Fault(0, 0)))
        : PRODUCT.relocate(instruction, address);
  }

  private static Optional<RelocatedCode> backToTheOriginal(DecodedInstruction instruction, long address) {
    ByteBuffer code = ByteBuffer.allocate(14).order(ByteOrder.LITTLE_ENDIAN).put((byte) 0xff).put((byte) 0x25)
        .putInt(0).putLong(instruction.address());
    return Optional.of(RelocatedCode.of(code.array(), _ -> new RelocatedCode.Fault(0, 0)));
  }

  private static Arguments mutant(String name, CodeRelocator relocator, String... mnemonics) {
    return Arguments.of(name, relocator, mnemonics.length == 0 ? SOME : List.of(mnemonics));
  }

  static Stream<Arguments> mutants() {
    return Stream.of(
        mutant("flags lost: test rax, rax", before("48 85 c0")),
        mutant("flags but CF lost: inc rax; dec rax", before("48 ff c0 48 ff c8")),
        mutant("red zone: push rax; pop rax", before("50 58")),
        mutant("red zone and nothing else: pushf; popf", before("9c 9d")),
        mutant("high half cleared: mov eax, eax", before("89 c0")),
        mutant("direction lost: cld", before("fc")),
        mutant("TF set: pushf; or dword [rsp], 100h; popf, below the red zone",
            before("48 8d 64 24 80 9c 81 0c 24 00 01 00 00 9d 48 8d a4 24 80 00 00 00")),
        mutant("AC lost: pushf; and dword [rsp], ~40000h; popf, below the red zone",
            before("48 8d 64 24 80 9c 81 24 24 ff ff fb ff 9d 48 8d a4 24 80 00 00 00")),
        mutant("x87 lost: fninit", before("db e3")),
        mutant("x87 status lost: fnclex", before("db e2")),
        mutant("x87 tags lost: emms", before("0f 77")),
        mutant("upper vector halves lost: vzeroupper", before("c5 f8 77")),
        mutant("base of gs lost: wrgsbase rax", before("f3 48 0f ae d8")),
        mutant("segment lost: mov fs, eax of an empty eax, which is kept on the stack",
            before("48 8d 64 24 80 50 31 c0 8e e0 58 48 8d a4 24 80 00 00 00")),
        mutant("stores where no operand leads: mov byte [50000600h], 5ah", before("c6 04 25 00 06 00 50 5a")),
        mutant("flags lost before something that is not the same twice", before("48 85 c0"), "rdtsc",
            "rdrand"),
        mutant("never comes out: jmp to itself", RelocationFuzzTest::neverComesOut, "add", "jmp"),
        mutant("leads back to the original, which will be overwritten",
            RelocationFuzzTest::backToTheOriginal),
        mutant("wrong return address", changed(code -> with(code, 1, 1)), "call"),
        // Of code above 4 GiB: push imm32; mov dword [rsp+4], imm32.
        mutant("wrong upper half of a return address",
            changed(code -> code.length > 13 && code[5] == (byte) 0xc7 ? with(code, 9, 1) : code), "call"),
        mutant("push of rsp after the push: lea rsp, [rsp-8]; mov [rsp], rsp",
            (instruction, address) -> PRODUCT.relocate(instruction, address + 7)
                .filter(_ -> Arrays.equals(instruction.bytes(), new byte[]{0x54}))
                .map(code -> RelocatedCode.of(ByteBuffer.allocate(9 + code.code().length - 1)
                    .put(HexFormat.of().parseHex("488d6424f848892424")).put(code.code(), 1,
                        code.code().length - 1)
                    .array(), _ -> new RelocatedCode.Fault(0, 0))),
            "push"),
        mutant("condition the other way round", changed(code -> with(code, 1, 1)), "jz", "jb", "jl", "jo"),
        mutant("memory 8 bytes beside", RelocationFuzzTest::elsewhere, "mov", "add", "addps"),
        mutant("fault map off by one", RelocationFuzzTest::faultsBehind, "mov", "add", "div"),
        mutant("comes back elsewhere", RelocationFuzzTest::comesBackToTheBranchTarget),
        mutant("loses what is read: nop instead", (instruction, address) -> PRODUCT
            .relocate(instruction, address).map(code -> {
              byte[] bytes = code.code();
              Arrays.fill(bytes, 0, instruction.length(), (byte) 0x90);
              return RelocatedCode.of(bytes, code::fault);
            }), "add", "mov", "pop"));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("mutants")
  void mutantsAreFound(String name, CodeRelocator mutant, List<String> mnemonics) {
    // To make one simple takes a second, and seconds if it hangs.
    RelocationReport report = untilFound(mutant, mnemonics, name.startsWith("flags lost: test") ? 1 : 0);
    assertThat(report.findings()).as(name).isNotEmpty();
    assertThat(report.findings().getFirst().confirmed()).as("%s", report.findings().getFirst()).isTrue();
    assertThat(report.units() * PairOracle.PAIRS).isLessThanOrEqualTo(MOST_PAIRS);
  }

  @ParameterizedTest
  @MethodSource("harmless")
  void whatIsHarmlessIsNot(String hex) {
    RelocationReport report = untilFound(before(hex), SOME, 1);
    assertThat(report.findings()).as("%s", report).isEmpty();
    assertThat(report.units() * PairOracle.PAIRS).isGreaterThan(MOST_PAIRS - PairOracle.PAIRS);
  }

  static Stream<String> harmless() {
    // nop; a long one; mov rax, rax; lea rsp, [rsp-128] and back
    return Stream.of("90", "66 0f 1f 44 00 00", "48 89 c0", "48 8d 64 24 80 48 8d a4 24 80 00 00 00");
  }

  /** A system call is made only by the oracle that stops: in the other one no random register is let near one. */
  @Test
  void systemCallsAreMade() {
    MachineState getuid = MachineState.PLAIN.withGeneral(0, 102).withGeneral(1, 7).withGeneral(11, 8);
    Case subject = Case.of(new byte[]{0x0f, 0x05}, getuid).withSystemCalls();
    try (Oracle oracle = Oracle.start()) {
      for (Place place : Place.values()) {
        Comparison comparison = oracle.compare(List.of(subject), PRODUCT, place).getFirst();
        assertThat(comparison).as("%s", comparison).isInstanceOfSatisfying(Comparison.Same.class, same -> {
          assertThat(same.result().general(0)).isEqualTo(0);
          // rcx is the address behind it.
          assertThat(same.result().general(1)).isEqualTo(subject.address() + 2);
        });
        CodeRelocator forgets = (instruction, address) -> PRODUCT.relocate(instruction, address)
            .map(code -> RelocatedCode.of(without(code.code()), code::fault));
        assertThat(oracle.compare(List.of(subject), forgets, place).getFirst())
            .isInstanceOf(Comparison.Different.class);
      }
    }
  }

  /** syscall; mov rcx, next: with another register in place of rcx. */
  private static byte[] without(byte[] code) {
    assertThat(code[3]).isEqualTo((byte) 0xb9);
    return with(code, 3, 1);
  }

  @Test
  void abandonedItReportsWhatItHas() {
    try (var fuzzer = new RelocationFuzzer(PRODUCT, InstructionDealer.of(SOME), 1, 2)) {
      RelocationReport report = fuzzer.run(Long.MAX_VALUE, progress -> {
        if (progress.executions() > 100_000) {
          fuzzer.abandon();
        }
        return true;
      });
      assertThat(report.executions()).isGreaterThan(100_000);
      assertThat(report.isClean()).as("%s", report).isTrue();
    }
  }

  /** Executes until there is a difference, or as many pairs as a mutant may have. */
  private static RelocationReport untilFound(CodeRelocator relocator, List<String> mnemonics,
      int simplified) {
    int[] units = {0};
    try (var fuzzer = new RelocationFuzzer(relocator, InstructionDealer.of(mnemonics), 1, 1)
        .simplifying(simplified)) {
      return fuzzer.run(Long.MAX_VALUE,
          progress -> progress.differences() == 0 && ++units[0] < MOST_PAIRS / PairOracle.PAIRS);
    }
  }
}

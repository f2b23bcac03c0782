package io.xolotl.lab.oracle;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.xolotl.lab.ExitStatus;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** The oracle sees all that an instruction does, and tells every mistake of a displacer. */
class OracleTest {

  private static final int RAX = 0;
  private static final int RCX = 1;
  private static final int RBX = 3;
  private static final int SIGILL = 4;
  private static final int SIGTRAP = 5;
  private static final int SIGFPE = 8;
  private static final int SIGSEGV = 11;
  private static final int SIGSYS = 31;

  private static Oracle oracle;

  @BeforeAll
  static void start() {
    oracle = Oracle.start();
  }

  @AfterAll
  static void end() {
    oracle.close();
  }

  private static byte[] code(String hex) {
    return HexFormat.of().parseHex(hex.replace(" ", ""));
  }

  private static Case subject(String hex, MachineState state) {
    return Case.of(code(hex), state);
  }

  private static Result run(String hex, MachineState state) {
    return oracle.inPlace(List.of(subject(hex, state))).getFirst();
  }

  @Test
  void registersAndFlags() {
    // add rax, rbx
    Result result = run("48 01 d8", MachineState.PLAIN.withGeneral(RAX, -1).withGeneral(RBX, 1));
    assertThat(result.ending()).isEqualTo(new Ending.Exited(Case.HIGH_CODE + 0x80 + 3));
    assertThat(result.general(RAX)).isZero();
    assertThat(result.general(RBX)).isEqualTo(1);
    // CF, PF, AF, ZF, and what is always set.
    assertThat(result.flags()).isEqualTo(0x1 | 0x4 | 0x10 | 0x40 | 0x202);
    for (int i = 5; i < 16; i++) {
      assertThat(result.general(i)).as(MachineState.GENERAL.get(i)).isZero();
    }
  }

  @Test
  void allRegistersGoInAndComeOut() {
    MachineState state = MachineState.PLAIN.withFlags(MachineState.FLAGS).withBases(0x1234,
        Region.LOW.address());
    VectorRegisters vectors = VectorRegisters.INITIAL.withMxcsr(0x9fc0).withX87(0x27f, 0x1800, 0xa5);
    for (int i = 0; i < 16; i++) {
      state = state.withGeneral(i, 0x0101_0101_0101_0101L * (i + 1));
    }
    for (int i = 0; i < VectorRegisters.VECTORS; i++) {
      byte[] vector = new byte[VectorRegisters.VECTOR_BYTES];
      for (int j = 0; j < vector.length; j++) {
        vector[j] = (byte) (i * 64 + j + 1);
      }
      vectors = vectors.withVector(i, vector);
    }
    for (int i = 0; i < 8; i++) {
      vectors = vectors.withMask(i, 0x1111L * i).withX87(i,
          new byte[]{1, 2, 3, 4, 5, 6, 7, (byte) (0x80 + i), 9, 0x40});
    }
    Result result = run("90", state.withVectors(vectors));
    for (int i = 0; i < 16; i++) {
      assertThat(result.general(i)).as(MachineState.GENERAL.get(i)).isEqualTo(state.general(i));
    }
    assertThat(result.flags()).isEqualTo(MachineState.FLAGS | 0x202);
    assertThat(result.fsBase()).isEqualTo(0x1234);
    assertThat(result.gsBase()).isEqualTo(Region.LOW.address());
    assertThat(result.vectors().mxcsr()).isEqualTo(0x9fc0);
    assertThat(result.vectors().x87Control()).isEqualTo(0x27f);
    for (int i = 0; i < 8; i++) {
      assertThat(result.vectors().x87(i)).isEqualTo(vectors.x87(i));
    }
    for (int i = 0; i < 16; i++) {
      // What this CPU has of it.
      assertThat(result.vectors().vector(i)).startsWith(Arrays.copyOf(vectors.vector(i), 16));
    }
  }

  @Test
  void memory() {
    byte[] content = new byte[Region.BYTES];
    content[8] = 42;
    for (Region region : List.of(Region.LOW, Region.NEAR, Region.FAR, Region.STACK)) {
      // mov rax, [rbx]; add [rbx-8], rax
      Result result = oracle.inPlace(List.of(Case.of(List.of(code("48 8b 03"), code("48 01 43 f8")),
          MachineState.PLAIN.withGeneral(RBX, region.address() + 8).withMemory(region, content)))).getFirst();
      assertThat(result.general(RAX)).isEqualTo(42);
      assertThat(result.memory(region)).startsWith(42, 0, 0, 0, 0, 0, 0, 0, 42);
    }
    // What was written is gone for the next case.
    assertThat(run("90", MachineState.PLAIN).memory(Region.NEAR)).containsOnly(0);
  }

  @Test
  void signals() {
    long address = Case.HIGH_CODE + 0x80;
    assertThat(run("0f 0b", MachineState.PLAIN).ending())
        .isEqualTo(new Ending.Signalled(SIGILL, 2, address, address, 6, 0, 0));
    // div ebx
    assertThat(run("f7 f3", MachineState.PLAIN).ending())
        .isEqualTo(new Ending.Signalled(SIGFPE, 1, address, address, 0, 0, 0));
    // mov [rbx], eax
    assertThat(run("89 03", MachineState.PLAIN.withGeneral(RBX, Region.CONSTANT.address())).ending())
        .isEqualTo(new Ending.Signalled(SIGSEGV, 2, Region.CONSTANT.address(), address, 14, 7,
            Region.CONSTANT.address()));
    // jmp .+0x12
    assertThat(run("eb 10", MachineState.PLAIN).ending()).isEqualTo(
        new Ending.Signalled(SIGTRAP, 128, 0, address + 0x13, 0, 0, 0));
  }

  @Test
  void systemCallsAreMadeOnlyIfTheCaseSaysSo() {
    // exit_group(3)
    MachineState exit = MachineState.PLAIN.withGeneral(RAX, 231).withGeneral(7, 3);
    assertThat(run("0f 05", exit).ending()).isInstanceOfSatisfying(Ending.Signalled.class,
        signal -> assertThat(signal.number()).isEqualTo(SIGSYS));
    assertThat(run("cd 80", MachineState.PLAIN.withGeneral(RAX, 1)).ending()).isInstanceOfSatisfying(
        Ending.Signalled.class, signal -> assertThat(signal.number()).isEqualTo(SIGSYS));
    List<Result> results = oracle
        .inPlace(List.of(subject("0f 05", exit).withSystemCalls(), subject("90", exit)));
    assertThat(results.get(0).ending()).isEqualTo(new Ending.Died(new ExitStatus.Exited(3)));
    assertThat(results.get(1).ending()).isInstanceOf(Ending.Exited.class);
    // getppid
    Result parent = oracle.inPlace(List.of(subject("0f 05", MachineState.PLAIN.withGeneral(RAX, 110))
        .withSystemCalls())).getFirst();
    assertThat(parent.general(RAX)).isPositive();
    assertThat(parent.general(RCX)).isEqualTo(Case.HIGH_CODE + 0x82);
  }

  @Test
  void codeThatDoesNotComeOutIsGivenUp() {
    assertThat(run("eb fe", MachineState.PLAIN).ending()).isEqualTo(new Ending.Hung());
  }

  @Test
  void manyCasesAtOnce() {
    var cases = new ArrayList<Case>();
    for (int i = 0; i < 1000; i++) {
      // add eax, ebx, at one of 100 places
      cases.add(subject("01 d8", MachineState.PLAIN.withGeneral(RAX, i).withGeneral(RBX, i))
          .at((i % 2 == 0 ? Case.HIGH_CODE : Case.LOW_CODE) + 0x80 + i / 2 % 50 * Case.CELL_BYTES));
    }
    List<Result> results = oracle.inPlace(cases);
    for (int i = 0; i < cases.size(); i++) {
      assertThat(results.get(i).general(RAX)).isEqualTo(2L * i);
    }
  }

  @Test
  void theSameIsTheSame() {
    Displacer nothing = (pid, addresses) -> Displacer.displacement(Map.of(), () -> {});
    assertThat(oracle.compare(List.of(subject("48 01 d8", MachineState.PLAIN)), nothing).getFirst())
        .isInstanceOf(Comparison.Same.class);
    // rdtsc, rdrand eax, cpuid, rdpid rax: different each time, or by CPU.
    for (String instruction : List.of("0f 31", "0f c7 f0", "0f a2", "f3 0f c7 f8")) {
      assertThat(oracle.compare(List.of(subject(instruction, MachineState.PLAIN)), nothing).getFirst())
          .as(instruction).isInstanceOf(Comparison.Same.class);
    }
    Displacer refusing = (pid, addresses) -> Displacer.displacement(
        Map.of(addresses.getFirst(), new Displacer.Refusal(Displacer.Kind.REFUSED, "no")), () -> {});
    assertThat(oracle.compare(List.of(subject("90", MachineState.PLAIN)), refusing).getFirst())
        .isInstanceOf(Comparison.NotDisplaced.class);
  }

  /**
   * A displacer that puts another instruction in place of the original, as a wrong engine would execute it.
   */
  private static List<Difference> differences(String original, String wrong, MachineState state) {
    Displacer patch = (pid, addresses) -> {
      write(pid, addresses.getFirst(), code(wrong));
      return Displacer.displacement(Map.of(), () -> {});
    };
    Comparison comparison = oracle.compare(List.of(subject(original, state)), patch).getFirst();
    assertThat(comparison).isInstanceOf(Comparison.Different.class);
    return ((Comparison.Different) comparison).differences();
  }

  private static void write(int pid, long address, byte[] code) {
    try (var memory = new RandomAccessFile("/proc/" + pid + "/mem", "rw")) {
      memory.seek(address);
      memory.write(code);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Test
  void everythingThatDiffersIsFound() {
    MachineState state = MachineState.PLAIN.withGeneral(RBX, Region.NEAR.address());
    // inc eax, dec eax
    assertThat(differences("ff c0", "ff c8", state)).containsExactly(
        new Difference("rax", "0x1", "0xffffffff"),
        new Difference("flags", "IF", "PF|AF|SF|IF"));
    // stc, clc
    assertThat(differences("f9", "f8", state)).containsExactly(new Difference("flags", "CF|IF", "IF"));
    // vpcmpeqd xmm0, xmm0, xmm0; vpcmpeqd xmm1, xmm1, xmm1
    assertThat(differences("66 0f 76 c0", "66 0f 76 c9", state)).extracting(Difference::what)
        .containsExactly("zmm0", "zmm1");
    // fldz, fld1
    assertThat(differences("d9 ee", "d9 e8", state)).extracting(Difference::what).contains("st0");
    // movb [rbx], 1; movb [rbx], 2
    assertThat(differences("c6 03 01", "c6 03 02", state))
        .containsExactly(new Difference("NEAR+0x0", "0x1", "0x2"));
    // wrfsbase rbx, wrgsbase rbx
    assertThat(differences("f3 48 0f ae d3", "f3 48 0f ae db", state)).extracting(Difference::what)
        .containsExactly("fs_base", "gs_base");
    // ud2, hlt; 2 bytes
    assertThat(differences("0f 0b", "f4 90", state)).extracting(Difference::what).contains("ending");
    // mov eax, [rbx-8]; mov eax, [rbx-1]: the address of the fault
    assertThat(differences("8b 43 f8", "8b 43 ff", state)).first().satisfies(difference -> {
      assertThat(difference.what()).isEqualTo("ending");
      assertThat(difference.inPlace()).contains("signal 11", "address 0x5555000ffff8");
      assertThat(difference.displaced()).contains("signal 11", "address 0x5555000fffff");
    });
  }

  @Test
  void lengthsByTheCpu() {
    List<CpuLength> lengths = oracle
        .lengths(List.of(code("90 90 90"), code("48 b8 00 00 00 00 00 00 00 00 90"),
            code("0f 0b"), code("66 66 66 66 66 66 2e 0f 1f 84 00 00 00 00 00"), code("48 b8 00"),
            code("e8 00 00 00 00")));
    assertThat(lengths).containsExactly(new CpuLength(1, false), new CpuLength(10, false),
        new CpuLength(2, true),
        new CpuLength(15, false), new CpuLength(0, false), new CpuLength(5, false));
  }

  @Test
  void casesGoThroughTokens() {
    Case subject = Case
        .of(List.of(code("90"), code("48 01 d8")), MachineState.PLAIN.withGeneral(3, 17).withFlags(0x40)
            .withBases(1, 2).withMemory(Region.FAR, new byte[]{1, 2})
            .withVectors(VectorRegisters.INITIAL.withMask(3, 9)))
        .at(Case.LOW_CODE + 0x1234).withSystemCalls();
    assertThat(Case.parse(subject.token())).isEqualTo(subject);
    assertThat(subject.token()).hasSizeLessThan(200).matches("[A-Za-z0-9_-]+");
    assertThat(subject.toString()).contains("90 48 01 d8", "nop; add rax, rbx", "rbx=0x11", "ZF");
    assertThatThrownBy(() -> Case.parse("x")).isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> Case.of(new byte[16], MachineState.PLAIN))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> subject.at(0x1000)).isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> MachineState.PLAIN.withFlags(0x100))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> MachineState.PLAIN.withBases(-1, 0))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> MachineState.PLAIN.withMemory(Region.CONSTANT, new byte[1]))
        .isInstanceOf(IllegalArgumentException.class);
  }
}

package io.xolotl.xol.program;

import static io.xolotl.fixtures.FixtureProgram.SLEEPER;
import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.fixtures.RunsFixture;
import io.xolotl.lab.TargetProcess;
import io.xolotl.ptrace.Registers;
import io.xolotl.ptrace.UserRegister;
import io.xolotl.xol.ProbedProcess;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What code a C library may find errno by, and that no other code leads anywhere or takes long. */
class ErrnoLocationTest {

  private static final long FUNCTION = 0x1000;
  private static final long FS_BASE = 0x5000;

  private static OptionalLong interpreted(String code, ProbedProcess process) {
    byte[] bytes = HexFormat.of().parseHex(code.replace(" ", ""));
    var registers = new Registers();
    registers.set(UserRegister.CS, 0x33);
    registers.set(UserRegister.SS, 0x2b);
    registers.set(UserRegister.FS_BASE, FS_BASE);
    return ErrnoLocation.of(FUNCTION, (address, length) -> {
      int from = Math.clamp(address - FUNCTION, 0, bytes.length);
      return Arrays.copyOfRange(bytes, from, Math.min(bytes.length, from + length));
    }, registers, process.memory());
  }

  @ParameterizedTest
  @CsvSource({
      // mov rax, 0x34; ret
      "48 c7 c0 34 00 00 00 c3, 0x34",
      // endbr64; mov eax, -1 (clears the upper half); nop; ret
      "f3 0f 1e fa b8 ff ff ff ff 90 c3, 0xffffffff",
      // lea rax, [rip + 0x10]; ret
      "48 8d 05 10 00 00 00 c3, 0x1017",
      // push 0x12; pop rcx; lea rax, [rcx + rcx*4 + 1]; ret
      "6a 12 59 48 8d 44 89 01 c3, 0x5b",
      // call +1; ret; mov rax, [rsp]; ret, that is the address behind the call
      "e8 01 00 00 00 c3 48 8b 04 24 c3, 0x1005"})
  void findsWhatTheFunctionWouldReturn(String code, String expected,
      @RunsFixture(SLEEPER) TargetProcess target) {
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      assertThat(interpreted(code, process)).hasValue(Long.decode(expected));
    }
  }

  @ParameterizedTest
  @CsvSource({
      "an endless loop, eb fe",
      "an endless recursion, e8 fb ff ff ff",
      "nothing is known of rax, c3",
      "what it found in a register, 48 89 f8 c3",
      "an instruction that is not understood, 0f a2 c3",
      "a branch that depends on something, 74 00 c3",
      "a call of somewhere, ff d0 c3",
      "an emptied stack, 58 c3",
      "a changed stack pointer, 48 c7 c4 00 10 00 00 c3",
      "a popped stack pointer, 6a 01 5c c3",
      "a write to memory, 48 c7 04 25 00 00 40 00 01 00 00 00 c3",
      "memory that is not mapped, 48 8b 04 25 10 00 00 00 c3",
      "thread-local memory that is not mapped, 64 48 8b 04 25 00 00 00 00 c3",
      "half a register, b0 01 c3",
      "code that ends, 48 c7 c0",
      "no instruction, 06"})
  void findsNothingElse(String what, String code, @RunsFixture(SLEEPER) TargetProcess target) {
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      assertThat(interpreted(code, process)).as(what).isEmpty();
    }
  }

  @Test
  void readsWhereItsThreadIs(@RunsFixture(SLEEPER) TargetProcess target) {
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      long stack = process.mappings().stream().filter(mapping -> mapping.path().equals("[stack]")).findFirst()
          .orElseThrow().end() - 64;
      process.memory().writeLong(stack, 0x1234);
      byte[] code = HexFormat.of().parseHex("6448030425000000" + "00c3");
      var registers = new Registers();
      registers.set(UserRegister.CS, 0x33);
      registers.set(UserRegister.SS, 0x2b);
      registers.set(UserRegister.FS_BASE, stack);
      // mov eax, 0; add rax, fs:[0]; ret
      byte[] all = HexFormat.of().parseHex("b800000000");
      byte[] whole = Arrays.copyOf(all, all.length + code.length);
      System.arraycopy(code, 0, whole, all.length, code.length);
      assertThat(ErrnoLocation.of(FUNCTION, (address, length) -> Arrays.copyOfRange(whole,
          (int) (address - FUNCTION), (int) Math.min(whole.length, address - FUNCTION + length)), registers,
          process.memory())).hasValue(0x1234);
    }
  }
}

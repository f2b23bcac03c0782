package io.xolotl.ptrace;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.xolotl.fixtures.FixtureProgram;
import io.xolotl.fixtures.RunsFixture;
import io.xolotl.lab.Await;
import io.xolotl.lab.ProcFs;
import io.xolotl.lab.TargetProcess;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Registers, vector state and signal information: read as the program set them, changed as the program sees
 * it.
 */
class ThreadStateTest {

  private static final byte BREAKPOINT = (byte) 0xcc;

  /** Byte offsets in struct user_regs_struct, from sys/user.h. */
  private static final Map<UserRegister, Integer> OFFSETS = Map.ofEntries(Map.entry(UserRegister.R15, 0),
      Map.entry(UserRegister.R14, 8), Map.entry(UserRegister.R13, 16), Map.entry(UserRegister.R12, 24),
      Map.entry(UserRegister.RBP, 32), Map.entry(UserRegister.RBX, 40), Map.entry(UserRegister.R11, 48),
      Map.entry(UserRegister.R10, 56), Map.entry(UserRegister.R9, 64), Map.entry(UserRegister.R8, 72),
      Map.entry(UserRegister.RAX, 80), Map.entry(UserRegister.RCX, 88), Map.entry(UserRegister.RDX, 96),
      Map.entry(UserRegister.RSI, 104), Map.entry(UserRegister.RDI, 112),
      Map.entry(UserRegister.ORIG_RAX, 120),
      Map.entry(UserRegister.RIP, 128), Map.entry(UserRegister.CS, 136), Map.entry(UserRegister.RFLAGS, 144),
      Map.entry(UserRegister.RSP, 152), Map.entry(UserRegister.SS, 160), Map.entry(UserRegister.FS_BASE, 168),
      Map.entry(UserRegister.GS_BASE, 176), Map.entry(UserRegister.DS, 184), Map.entry(UserRegister.ES, 192),
      Map.entry(UserRegister.FS, 200), Map.entry(UserRegister.GS, 208));

  @Test
  void registersHaveTheKernelsOffsets() {
    assertThat(OFFSETS).hasSize(UserRegister.values().length);
    assertThat(Registers.BYTES).isEqualTo(216);
    long[] raw = new long[27];
    Arrays.setAll(raw, i -> 0x1000 + 8L * i);
    var registers = new Registers();
    registers.load(MemorySegment.ofArray(raw));
    assertThat(registers.isChanged()).isFalse();
    OFFSETS.forEach((register, offset) -> assertThat(registers.get(register)).as("%s", register)
        .isEqualTo(0x1000 + offset));
    long[] back = new long[27];
    registers.set(UserRegister.GS, 7);
    assertThat(registers.isChanged()).isTrue();
    registers.store(MemorySegment.ofArray(back));
    raw[26] = 7;
    assertThat(back).isEqualTo(raw);
  }

  @Test
  void namedAccessorsAndHardwareNumbers() {
    var registers = new Registers();
    registers.rip(1);
    registers.rsp(2);
    registers.rax(3);
    registers.rflags(4);
    assertThat(List.of(registers.get(UserRegister.RIP), registers.get(UserRegister.RSP),
        registers.get(UserRegister.RAX),
        registers.get(UserRegister.RFLAGS))).containsExactly(1L, 2L, 3L, 4L);
    var arguments = List.of(UserRegister.RDI, UserRegister.RSI, UserRegister.RDX, UserRegister.RCX,
        UserRegister.R8, UserRegister.R9);
    for (int i = 0; i < 6; i++) {
      registers.argument(i, 100 + i);
      assertThat(registers.get(arguments.get(i))).isEqualTo(100 + i).isEqualTo(registers.argument(i));
    }
    assertThatThrownBy(() -> registers.argument(6)).isInstanceOf(IllegalArgumentException.class);
    // Intel SDM volume 2, table 2-2.
    var order = List.of(UserRegister.RAX, UserRegister.RCX, UserRegister.RDX, UserRegister.RBX,
        UserRegister.RSP, UserRegister.RBP,
        UserRegister.RSI, UserRegister.RDI, UserRegister.R8, UserRegister.R9, UserRegister.R10,
        UserRegister.R11, UserRegister.R12,
        UserRegister.R13, UserRegister.R14, UserRegister.R15);
    for (int i = 0; i < 16; i++) {
      assertThat(UserRegister.general(i)).isEqualTo(order.get(i));
    }
    var copy = new Registers();
    copy.copyFrom(registers);
    assertThat(copy).isEqualTo(registers).hasSameHashCodeAs(registers);
    copy.rax(99);
    assertThat(copy).isNotEqualTo(registers);
    assertThat(copy.toString()).contains("rax=0x63", "rip=0x1");
  }

  /** Hands each stop at a breakpoint to the test, with rip put back to it. */
  private static final class Breakpoints extends Recorder {

    final ArrayDeque<CompletableFuture<TracedThread>> awaited = new ArrayDeque<>();

    @Override
    public void stopped(TracedThread thread, WaitStatus.Stopped status) {
      if (status instanceof WaitStatus.Signal(int signal) && signal == Signals.SIGTRAP) {
        var registers = new Registers();
        thread.readRegisters(registers);
        registers.rip(registers.rip() - 1);
        thread.writeRegisters(registers);
        awaited.remove().complete(thread);
      } else {
        super.stopped(thread, status);
      }
    }
  }

  interface Change {
    void apply(TracedThread thread, Registers registers);
  }

  /** Stops the program at an address, once, changes it there, and lets it go on. */
  private static CompletableFuture<?> at(Traced traced, Breakpoints handler, long address, Change change) {
    var hit = new CompletableFuture<TracedThread>();
    return traced.tracer.call(() -> {
      ProcessMemory memory = traced.process.memory();
      byte[] original = memory.readText(address, 1);
      memory.writeText(address, BREAKPOINT);
      handler.awaited.add(hit);
      // What the change asserts is told by the future that is returned.
      return hit.thenAccept(thread -> {
        try {
          memory.writeText(address, original);
          var registers = new Registers();
          thread.readRegisters(registers);
          change.apply(thread, registers);
        } finally {
          thread.cont(0);
        }
      });
    });
  }

  private static void awaitHit(TargetProcess target, Breakpoints handler, CompletableFuture<?> hit) {
    Await.until(hit::isDone, () -> "a hit in " + target + ", which is in state "
        + ProcFs.state(target.pid()) + " after stops " + handler.statuses + " and has printed "
        + target.output());
    hit.join();
  }

  @Test
  void programSeesChangedRegisters(@RunsFixture(FixtureProgram.ALTER) TargetProcess target) throws Exception {
    var handler = new Breakpoints();
    try (var traced = Traced.attach(target.pid(), handler)) {
      long add = target.address("add");
      var hit = at(traced, handler, add, (thread, registers) -> {
        assertThat(registers.rip()).isEqualTo(add);
        assertThat(registers.argument(0)).isEqualTo(2);
        assertThat(registers.argument(1)).isEqualTo(3);
        registers.argument(0, 40);
        thread.writeRegisters(registers);
        assertThat(registers.isChanged()).isFalse();
        var again = new Registers();
        thread.readRegisters(again);
        assertThat(again).isEqualTo(registers);
      });
      target.send("go");
      awaitHit(target, handler, hit);
      target.awaitLine("add 43");
    }
  }

  @Test
  void programSeesChangedVectorRegisters(@RunsFixture(FixtureProgram.ALTER) TargetProcess target)
      throws Exception {
    var handler = new Breakpoints();
    try (var traced = Traced.attach(target.pid(), handler)) {
      var seen = new CompletableFuture<Double>();
      var hit = at(traced, handler, target.address("half"), (thread, registers) -> {
        VectorState state = thread.readVectorState();
        seen.complete(state.xmmDouble(0));
        assertThat(state.isChanged()).isFalse();
        state.xmmDouble(0, 21);
        assertThat(state.isChanged()).isTrue();
        thread.writeVectorState(state);
      });
      target.send("go");
      awaitHit(target, handler, hit);
      assertThat(seen.get(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS)).isEqualTo(7.0);
      target.awaitLine("half 10.5");
    }
  }

  /** A register's bytes as vectors.c fills them: the register's number, then 1, 2, 3 and so on. */
  private static byte[] pattern(int register, int size) {
    byte[] bytes = new byte[size];
    for (int i = 0; i < size; i++) {
      bytes[i] = (byte) (i == 0 ? register : i);
    }
    return bytes;
  }

  @Test
  void allVectorRegistersAreWhereTheProgramPutThem(@TempDir Path directory) throws Exception {
    assumeTrue(Files.readString(Path.of("/proc/cpuinfo")).contains(" avx "), "this CPU has no YMM registers");
    Path program = CProgram.build(directory, "vectors", "-mavx");
    try (var target = TargetProcess.start(List.of(program.toString()))) {
      target.awaitLine("ready ");
      ProcFs.awaitState(target.pid(), "R");
      try (var traced = Traced.attach(target.pid(), new Recorder())) {
        long go = Long.parseUnsignedLong(target.output().getFirst().split(" ")[2], 16);
        // Its registers are loaded when it says so: no call comes in between.
        Await.until(() -> traced.process.memory().readInt(go) == 1,
            () -> "registers are loaded");
        traced.stopped(thread -> {
          VectorState state = thread.readVectorState();
          assertThat(state.hasAvx()).isTrue();
          for (int i = 0; i < 16; i++) {
            assertThat(state.ymm(i)).as("ymm%d", i).isEqualTo(pattern(i, 32));
            assertThat(state.xmm(i)).as("xmm%d", i).isEqualTo(pattern(i, 16));
          }
          assertThat(state.mxcsr()).isEqualTo(0x1f80);
          // pi, as fldpi loads it.
          assertThat(state.st(0))
              .isEqualTo(new byte[]{0x35, (byte) 0xc2, 0x68, 0x21, (byte) 0xa2, (byte) 0xda, 0x0f,
                  (byte) 0xc9, 0x00, 0x40});
          state.ymm(3, pattern(103, 32));
          state.xmm(15, pattern(115, 16));
          state.mxcsr(0x1fc0);
          thread.writeVectorState(state);
          VectorState again = thread.readVectorState();
          assertThat(again.toByteArray()).isEqualTo(state.toByteArray());
          assertThat(again.size()).isEqualTo(state.size());
        });
        traced.process.memory().writeInt(go, 2);
        for (int i = 0; i < 16; i++) {
          byte[] expected = pattern(i, 32);
          if (i == 3) {
            expected = pattern(103, 32);
          } else if (i == 15) {
            expected[0] = 115;
          }
          target.awaitLine("ymm" + i + " " + HexFormat.of().formatHex(expected));
        }
        target.awaitLine("mxcsr 1fc0");
      }
    }
  }

  @Test
  void componentInItsInitialStateCanBeSet() {
    try (var traced = Traced.launch(LaunchRequest.of(List.of("/bin/true")), new Recorder())) {
      traced.tracer.call(() -> {
        TracedThread thread = traced.process.threads().getFirst();
        VectorState state = thread.readVectorState();
        assertThat(state.xmm(5)).containsOnly(0);
        state.xmm(5, pattern(5, 16));
        if (state.hasAvx()) {
          state.ymm(6, pattern(6, 32));
        }
        thread.writeVectorState(state);
        VectorState again = thread.readVectorState();
        assertThat(again.xmm(5)).isEqualTo(pattern(5, 16));
        if (state.hasAvx()) {
          assertThat(again.ymm(6)).isEqualTo(pattern(6, 32));
        }
        thread.cont(0);
        return 0;
      });
    }
  }

  @Test
  void vectorRegistersThatDoNotExistAreRefused() {
    var state = new VectorState(MemorySegment.ofArray(new byte[576]));
    assertThat(state.hasAvx()).isFalse();
    assertThatThrownBy(() -> state.ymm(0)).isInstanceOf(UnsupportedOperationException.class);
    assertThatThrownBy(() -> state.xmm(16)).isInstanceOf(IndexOutOfBoundsException.class);
    assertThatThrownBy(() -> state.st(8)).isInstanceOf(IndexOutOfBoundsException.class);
    assertThatThrownBy(() -> state.xmm(0, new byte[15])).isInstanceOf(IllegalArgumentException.class);
    assertThat(state.isChanged()).isFalse();
  }

  @Test
  void handlerOfTheProgramSeesTheSignalInformationThatWasSet(@TempDir Path directory) {
    Path program = CProgram.build(directory, "siginfo");
    try (var target = TargetProcess.start(List.of(program.toString()))) {
      target.awaitLine("ready ");
      var original = new CompletableFuture<SignalInfo>();
      var handler = new Recorder() {
        @Override
        public void stopped(TracedThread thread, WaitStatus.Stopped status) {
          if (status instanceof WaitStatus.Signal(int signal)) {
            var info = new SignalInfo();
            thread.readSignalInfo(info);
            var copy = new SignalInfo();
            copy.copyFrom(info);
            assertThat(copy).isEqualTo(info).hasSameHashCodeAs(info);
            original.complete(copy);
            info.address(0xabcd0000L);
            assertThat(info).isNotEqualTo(copy);
            thread.writeSignalInfo(info);
          }
          super.stopped(thread, status);
        }
      };
      try (var traced = Traced.attach(target.pid(), handler)) {
        target.send("");
        target.awaitLine("signal 11 code 1 address 0xabcd0000");
        SignalInfo info = original.join();
        assertThat(info.signal()).isEqualTo(Signals.SIGSEGV);
        // SEGV_MAPERR
        assertThat(info.code()).isEqualTo(1);
        assertThat(info.isFault()).isTrue();
        assertThat(info.address()).isEqualTo(0x10L);
        assertThat(info).hasToString("SIGSEGV code 1 address 0x10");
        traced.detach();
        target.closeInput();
      }
    }
  }

  @Test
  void senderOfASignalIsKnown(@RunsFixture(FixtureProgram.SLEEPER) TargetProcess target) {
    var seen = new CompletableFuture<SignalInfo>();
    var handler = new Recorder() {
      @Override
      public void stopped(TracedThread thread, WaitStatus.Stopped status) {
        if (status instanceof WaitStatus.Signal) {
          var info = new SignalInfo();
          thread.readSignalInfo(info);
          seen.complete(info);
          thread.cont(0);
        } else {
          super.stopped(thread, status);
        }
      }
    };
    try (var traced = Traced.attach(target.pid(), handler)) {
      traced.tracer.call(() -> {
        traced.process.threads().getFirst().send(15);
        return 0;
      });
      SignalInfo info = seen.join();
      assertThat(info.signal()).isEqualTo(15);
      assertThat(info.isFault()).isFalse();
      assertThat(info.senderPid()).isEqualTo((int) ProcessHandle.current().pid());
      // It was not delivered.
      assertThat(target.isAlive()).isTrue();
    }
  }

  @Test
  void signalMaskIsReadAndSet(@RunsFixture(FixtureProgram.SLEEPER) TargetProcess target) {
    try (var traced = Traced.attach(target.pid(), new Recorder())) {
      traced.stopped(thread -> {
        assertThat(thread.signalMask()).isZero();
        thread.signalMask(1L << 14 | 1L << 63);
        assertThat(thread.signalMask()).isEqualTo(1L << 14 | 1L << 63);
      });
    }
    assertThat(ProcFs.status(target.pid(), "SigBlk")).isEqualTo("8000000000004000");
  }
}

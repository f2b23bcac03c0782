package io.xolotl.xol;

import static io.xolotl.fixtures.FixtureProgram.FORKER;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.xolotl.lab.Await;
import io.xolotl.lab.ProcFs;
import io.xolotl.lab.TargetProcess;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * A process makes itself undumpable while a tracer without CAP_SYS_PTRACE probes it: of all that the kernel
 * lets that tracer open of other processes, it lets it open nothing of this one any more, nor of its
 * children.
 */
class UndumpableTest {

  private static final int CAP_SYS_PTRACE = 19;
  private static final int CAP_SYS_ADMIN = 21;
  private static final long SYS_CAPGET = 125;
  private static final long SYS_CAPSET = 126;
  /** {@code _LINUX_CAPABILITY_VERSION_3} of linux/capability.h. */
  private static final int VERSION = 0x20080522;

  /**
   * Takes the capabilities from the tracer thread alone: capabilities belong to threads (capabilities(7)).
   */
  private static void giveUpCapabilities(Session session) {
    session.call(() -> {
      Class<?> libc = Class.forName("io.xolotl.ptrace.Libc");
      Method callState = libc.getDeclaredMethod("callState");
      Method syscall = libc.getDeclaredMethod("syscall", MemorySegment.class, long.class, long.class,
          long.class,
          long.class, long.class, long.class);
      callState.setAccessible(true);
      syscall.setAccessible(true);
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment state = arena.allocate((MemoryLayout) callState.invoke(null));
        MemorySegment header = arena.allocate(8);
        header.set(ValueLayout.JAVA_INT, 0, VERSION);
        MemorySegment data = arena.allocate(24);
        assertThat(call(syscall, state, SYS_CAPGET, header, data)).isZero();
        int effective = data.get(ValueLayout.JAVA_INT, 0);
        data.set(ValueLayout.JAVA_INT, 0, effective & ~(1 << CAP_SYS_PTRACE | 1 << CAP_SYS_ADMIN));
        assertThat(call(syscall, state, SYS_CAPSET, header, data)).isZero();
      }
      return true;
    });
  }

  private static long call(Method syscall, MemorySegment state, long number, MemorySegment header,
      MemorySegment data) throws IllegalAccessException, InvocationTargetException {
    return (long) syscall.invoke(null, state, number, header.address(), data.address(), 0L, 0L, 0L);
  }

  private static List<Probe> probeWork(ProbedProcess process, TargetProcess target) {
    return process
        .register(Stream.of("work_push", "work_rip_load", "work_jcc", "work_call", "work_add_mem", "work_ret")
            .map(site -> ProbeRequest.at(target.address(site),
                hit -> hit.memory().readLong(hit.registers().rsp())))
            .toList());
  }

  private static Aftermath before(TargetProcess target) {
    return Aftermath.expectedOf(target.pid(), List.of(target.address("work"), target.address("work_helper")));
  }

  @ParameterizedTest
  @ValueSource(strings = {"fork", "vfork", "posix_spawn", "clone_vm"})
  void itAndItsChildrenAreProbedAndLetGo(String kind) throws Exception {
    try (TargetProcess target = TargetProcess.start(FORKER, kind)) {
      Aftermath before = before(target);
      target.send("resign");
      target.awaitOk();
      try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
        giveUpCapabilities(process.session());
        Probe first = probeWork(process, target).getFirst();
        target.send("go");
        target.awaitOk();
        long each = first.hits();
        target.send("hide");
        target.awaitOk();
        for (int i = 2; i <= 20; i++) {
          target.send("go");
          target.awaitOk();
          assertThat(first.hits()).isEqualTo(i * each);
        }
        process.unregister(process.probes());
        List<Probe> again = probeWork(process, target);
        target.send("go");
        target.awaitOk();
        assertThat(again.getFirst().hits()).isEqualTo(each);
      }
      before.assertNoTrace();
      target.send("go");
      target.awaitOk();
    }
  }

  @Test
  void aProgramThatItExecutesIsProbed() throws Exception {
    try (TargetProcess target = TargetProcess.start(FORKER, "exec");
        ProbedProcess process = ProbedProcess.attach(target.pid())) {
      target.send("resign");
      target.awaitOk();
      giveUpCapabilities(process.session());
      probeWork(process, target);
      target.send("hide");
      target.awaitOk();
      target.send("go");
      target.awaitOk();
      target.awaitLine("ready ");
      Probe again = process.register(ProbeRequest.at("forker", "work", hit -> {}));
      target.send("go");
      target.awaitOk();
      assertThat(again.hits()).isPositive();
    }
  }

  /**
   * Nobody can look into the child, and no system call may be made in it: it must not run, during the session
   * or after it.
   */
  @Test
  void aChildThatCannotBeCleanedNeverRuns() throws Exception {
    try (TargetProcess target = TargetProcess.start(FORKER, "fork")) {
      Aftermath before = before(target);
      target.send("resign");
      target.awaitOk();
      ProbedProcess process = ProbedProcess.attach(target.pid());
      giveUpCapabilities(process.session());
      probeWork(process, target);
      for (String command : List.of("hide", "confine")) {
        target.send(command);
        target.awaitOk();
      }
      target.send("hold");
      Await.until(() -> !children(target.pid()).isEmpty(), () -> "a child");
      int child = Integer.parseInt(children(target.pid()));
      ProcFs.awaitState(child, "t");
      assertThatThrownBy(process::close).isInstanceOfSatisfying(ProbeException.class, e -> {
        assertThat(e.reason()).isEqualTo(ProbeException.Reason.BREAKPOINT_LEFT);
        assertThat(e).hasMessageContaining("process " + child);
      });
      ProcFs.awaitState(child, "T");
      assertThat(ProcFs.tracerPid(child)).isZero();
      // Its slots stay: no system call may be made in it any more.
      before.assertTextRestored();
      assertThat(ProcFs.tracerPid(target.pid())).isZero();
      assertThat(new ProcessBuilder("kill", "-KILL", Integer.toString(child)).start().waitFor()).isZero();
    }
  }

  private static String children(int pid) {
    try {
      return Files.readString(Path.of("/proc/" + pid + "/task/" + pid + "/children")).strip();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}

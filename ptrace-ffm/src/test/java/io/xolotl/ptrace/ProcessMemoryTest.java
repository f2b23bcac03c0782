package io.xolotl.ptrace;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.xolotl.fixtures.FixtureProgram;
import io.xolotl.fixtures.RunsFixture;
import io.xolotl.lab.Await;
import io.xolotl.lab.ProcFs;
import io.xolotl.lab.TargetProcess;
import io.xolotl.ptrace.PtraceException.Reason;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Memory of a running process. */
class ProcessMemoryTest {

  private static final int SYS_MPROTECT = 10;
  private static final int READ = 1;
  private static final int READ_WRITE = 3;
  private static final int PAGE = 4096;
  private static final int SIZE = 1 << 20;

  private TargetProcess target;
  private Traced traced;
  private ProcessMemory memory;

  @BeforeEach
  void attach(@RunsFixture(FixtureProgram.ALTER) TargetProcess alter) {
    target = alter;
    traced = Traced.attach(alter.pid(), new Recorder());
    memory = traced.process.memory();
  }

  @AfterEach
  void detach() {
    traced.close();
  }

  /** New memory in the process, the last page of which is followed by nothing. */
  private long map() {
    long base = traced.stopped(traced.mainThread(), thread -> {
      long mapped = traced.process.mapNear(thread, target.address("main"), 1L << 31, SIZE + PAGE, READ_WRITE);
      traced.process.unmap(thread, mapped + SIZE, PAGE);
      return mapped;
    });
    assertThat(base).isNotZero();
    return base;
  }

  private void protect(long address, int protection) {
    assertThat((long) traced.stopped(traced.mainThread(),
        thread -> thread.systemCall(SYS_MPROTECT, address, PAGE, protection))).isZero();
  }

  private static void assertInaccessible(ThrowingCallable access, String operation, long address) {
    assertThatThrownBy(access).isInstanceOfSatisfying(PtraceException.class, e -> {
      assertThat(e.reason()).isEqualTo(Reason.MEMORY_INACCESSIBLE);
      assertThat(e.errno()).isEqualTo(Libc.EFAULT);
    }).hasMessageStartingWith(operation + " at 0x" + Long.toHexString(address));
  }

  @Test
  void whatIsWrittenIsRead() {
    long base = map();
    byte[] bytes = new byte[SIZE];
    new Random(1).nextBytes(bytes);
    memory.write(base, bytes);
    assertThat(ProcFs.memory(target.pid(), base, SIZE)).isEqualTo(bytes);
    for (int length : new int[]{0, 1, 8, PAGE, (64 << 10) - 1, 64 << 10, (64 << 10) + 1, SIZE}) {
      byte[] expected = Arrays.copyOf(bytes, length);
      assertThat(memory.read(base, length)).isEqualTo(expected);
      assertThat(memory.readText(base, length)).isEqualTo(expected);
    }
    new Random(2).nextBytes(bytes);
    memory.writeText(base, bytes);
    assertThat(ProcFs.memory(target.pid(), base, SIZE)).isEqualTo(bytes);
  }

  @Test
  void numbersAreLittleEndian() {
    long base = map();
    memory.writeLong(base + 3, 0x1122334455667788L);
    assertThat(memory.readLong(base + 3)).isEqualTo(0x1122334455667788L);
    assertThat(memory.readInt(base + 3)).isEqualTo(0x55667788);
    assertThat(memory.readByte(base + 3)).isEqualTo((byte) 0x88);
    memory.writeInt(base + 3, 0x01020304);
    assertThat(memory.readLong(base + 3)).isEqualTo(0x1122334401020304L);
  }

  @Test
  void readsEndWhereTheMappingEnds() {
    long base = map();
    long end = base + SIZE;
    byte[] buffer = new byte[300_000];
    for (int available : new int[]{0, 1, 100, PAGE, (64 << 10) - 1, 64 << 10, (64 << 10) + 1, 200_000}) {
      assertThat(memory.tryRead(end - available, buffer, 0, buffer.length)).isEqualTo(available);
      assertThat(memory.readText(end - available, buffer.length)).hasSize(available);
      assertInaccessible(() -> memory.read(end - available, available + 1), "read", end);
    }
    assertThat(memory.tryRead(0, buffer, 0, 1)).isZero();
    assertThat(memory.tryRead(-PAGE, buffer, 0, PAGE)).isZero();
    assertThat(memory.tryRead(base, buffer, 299_999, 1)).isEqualTo(1);
    assertThatThrownBy(() -> memory.tryRead(base, buffer, 299_999, 2))
        .isInstanceOf(IndexOutOfBoundsException.class);
    assertInaccessible(() -> memory.write(end - 5, new byte[10]), "write", end - 5 + 5);
    assertInaccessible(() -> memory.writeText(end, (byte) 1), "write of text", end);
  }

  @Test
  void permissionsHoldForDataAndNotForText() {
    long base = map();
    protect(base, READ);
    assertInaccessible(() -> memory.writeLong(base, 1), "write", base);
    memory.writeText(base, (byte) 7);
    assertThat(memory.readByte(base)).isEqualTo((byte) 7);
    protect(base, 0);
    assertInaccessible(() -> memory.readByte(base), "read", base);
    assertThat(memory.readText(base, 1)).containsExactly(7);
  }

  @Test
  void textIsChangedInThisProcessOnly() throws IOException {
    byte[] file = Files.readAllBytes(FixtureProgram.ALTER.path());
    long skip = target.address("skip_me");
    try (var other = TargetProcess.start(FixtureProgram.ALTER)) {
      // mov $7, %eax; ret
      memory.writeText(skip, (byte) 0xb8, (byte) 7, (byte) 0, (byte) 0, (byte) 0, (byte) 0xc3);
      target.send("go");
      target.awaitLine("skip_me 7");
      other.send("go");
      other.awaitLine("skip_me 1");
    }
    assertThat(Files.readAllBytes(FixtureProgram.ALTER.path())).isEqualTo(file);
  }

  @Test
  void variablesOfTheProgram() {
    assertThat(memory.readLong(target.address("global_value"))).isEqualTo(100);
    assertThat(memory.readString(target.address("message"), 32)).isEqualTo("hello");
    memory.writeLong(target.address("global_value"), -5);
    memory.write(target.address("message"), "grüße\0".getBytes(StandardCharsets.UTF_8));
    target.send("go");
    target.awaitLine("global -5");
    assertThat(memory.readString(target.address("message"), 32)).isEqualTo("grüße");
  }

  @Test
  void stringsEndAtTheirZeroOrTheLimit() {
    long end = map() + SIZE;
    memory.write(end - 4, new byte[]{'a', 'b', 'c', 0});
    // Nothing is mapped behind it, and it is not asked for.
    assertThat(memory.readString(end - 4, 1000)).isEqualTo("abc");
    assertThat(memory.readString(end - 4, 2)).isEqualTo("ab");
    assertThat(memory.readString(end - 1, 1000)).isEmpty();
    assertThat(memory.readString(end - 4, 0)).isEmpty();
    memory.write(end - 1, new byte[]{'d'});
    assertThat(memory.readString(end - 4, 4)).isEqualTo("abcd");
    assertInaccessible(() -> memory.readString(end - 4, 5), "read", end);
    byte[] across = "x".repeat(PAGE + 10).getBytes(StandardCharsets.US_ASCII);
    memory.write(end - 3 * PAGE - 5, across);
    memory.write(end - 3 * PAGE - 5 + across.length, new byte[1]);
    assertThat(memory.readString(end - 3 * PAGE - 5, 2 * PAGE)).hasSize(across.length);
  }

  @Test
  void manyThreadsAtOnce() throws Exception {
    long base = map();
    try (var threads = Executors.newVirtualThreadPerTaskExecutor()) {
      var results = new ArrayList<Future<Boolean>>();
      for (int i = 0; i < 64; i++) {
        int n = i;
        results.add(threads.submit(() -> {
          long mine = base + n * 16 * 1024L;
          byte[] bytes = new byte[16 * 1024];
          for (int round = 0; round < 20; round++) {
            new Random(n * 100L + round).nextBytes(bytes);
            if (round % 2 == 0) {
              memory.write(mine, bytes);
            } else {
              memory.writeText(mine, bytes);
            }
            if (!Arrays.equals(memory.read(mine, bytes.length), bytes)
                || !Arrays.equals(memory.readText(mine, bytes.length), bytes)) {
              return false;
            }
          }
          return true;
        }));
      }
      for (Future<Boolean> result : results) {
        assertThat(result.get()).isTrue();
      }
    }
  }

  @Test
  void memoryOfAProcessThatIsLetGoIsClosed() {
    long address = target.address("global_value");
    traced.detach();
    assertThat(memory.tryRead(address, new byte[8], 0, 8)).isZero();
    assertThat(memory.readText(address, 8)).isEmpty();
    assertInaccessible(() -> memory.readLong(address), "read", address);
    assertInaccessible(() -> memory.writeLong(address, 1), "write", address);
    assertInaccessible(() -> memory.writeText(address, (byte) 1), "write of text", address);
    assertThatThrownBy(() -> memory.readLong(address)).hasMessageContaining("no longer traced");
    target.send("go");
    target.awaitLine("global 100");
  }

  @Test
  void memoryOfAProcessThatHasEndedIsClosed() {
    long address = target.address("global_value");
    target.send("exit");
    target.exitStatus();
    Await.until(() -> traced.tracer.call(() -> traced.process.threads().isEmpty()), () -> "its end");
    assertInaccessible(() -> memory.readLong(address), "read", address);
    assertThatThrownBy(() -> traced.process.mappings()).isInstanceOfSatisfying(PtraceException.class,
        e -> assertThat(e.reason()).isEqualTo(Reason.THREAD_GONE));
  }

  @Test
  void memoryFollowsAnExec() {
    try (var forker = TargetProcess.start(FixtureProgram.FORKER, "exec");
        var session = Traced.attach(forker.pid(), new Recorder())) {
      for (int round = 0; round < 3; round++) {
        ProcessMemory ofForker = session.process.memory();
        long work = forker.address("work");
        byte[] code = ProcFs.memory(forker.pid(), work, 16);
        assertThat(ofForker.read(work, 16)).isEqualTo(code);
        assertThat(ofForker.readText(work, 16)).isEqualTo(code);
        ofForker.writeText(work, code);
        forker.send("go");
        forker.awaitOk();
        forker.awaitLine("ready ");
      }
    }
  }
}

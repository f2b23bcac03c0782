package io.xolotl.xol;

import static io.xolotl.fixtures.FixtureProgram.REMAP;
import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.decoder.Technique;
import io.xolotl.lab.TargetProcess;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.LinkedBlockingQueue;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Code that is unmapped, mapped over, protected, rewritten or moved below probes, which were hit before. */
class RemapTest {

  /** push rbx; mov rbx, rdi; lea rax, [rbx+rbx]; add rax, 7; pop rbx; ret. */
  private static final byte[] TWICE = HexFormat.of().parseHex("534889fb488d041b4883c0075bc3");
  /** push rbx; mov rbx, rdi; lea rax, [rbx+rbx*2]; add rax, 5; pop rbx; ret. */
  private static final byte[] THRICE = HexFormat.of().parseHex("534889fb488d045b4883c0055bc3");
  /** The same, with lea rax, [rbx+rbx*2]. */
  private static final byte[] OPERAND = HexFormat.of().parseHex("534889fb488d045b4883c0075bc3");
  private static final List<Integer> OFFSETS = List.of(0, 1, 4, 8, 12, 13);
  private static final int PAGE = 4096;

  @TempDir
  private static Path directory;

  private static Path file = Path.of("");

  /** What happens to the code, and what it is then. */
  enum Change {
    UNMAP(null, "unmap"), OVER(breakpoints(), "over"), OTHER(THRICE, "other"), SAME(TWICE, "same"), PROTECT(
        TWICE, "noexec", "exec"),
    WRITABLE(TWICE, "writable"), REWRITE(TWICE, "writable",
        "rewrite"),
    MOVE(TWICE, "move"), MOVE_TWICE(TWICE, "move", "move"), MOVE_PROTECTED(TWICE,
        "noexec", "move", "exec"),
    REPLACED_AND_MOVED(THRICE, "other", "move"), COPIED(TWICE, "copy",
        "place"),
    COPIED_AND_MOVED(TWICE, "copy", "place",
        "move"),
    OPERAND_CHANGED(OPERAND, "operand"), OPERAND_CHANGED_IN_COPY(OPERAND, "copy",
        "place",
        "operand"),
    OPERAND_CHANGED_AND_COPIED(OPERAND, "operand", "copy", "place");

    private final byte @Nullable [] after;
    private final List<String> commands;

    Change(byte @Nullable [] after, String... commands) {
      this.after = after;
      this.commands = List.of(commands);
    }
  }

  /** When the change is noticed. */
  enum Next {
    CALL, CLOSE, UNREGISTER, REGISTER_ELSEWHERE, FORGET
  }

  /** The program's own. */
  private static byte[] breakpoints() {
    byte[] bytes = new byte[64];
    Arrays.fill(bytes, (byte) 0xcc);
    return bytes;
  }

  @BeforeAll
  static void write() throws Exception {
    byte[] pages = new byte[2 * PAGE];
    Arrays.fill(pages, (byte) 0x90);
    System.arraycopy(TWICE, 0, pages, 0, TWICE.length);
    System.arraycopy(THRICE, 0, pages, PAGE, THRICE.length);
    file = directory.resolve("blob");
    Files.write(file, pages);
  }

  static final List<String> KINDS = List.of("file", "anonymous");

  private static long change(TargetProcess target, String command) {
    target.send(command);
    return Long.parseUnsignedLong(target.awaitLine("at ").substring(3), 16);
  }

  private static List<Probe> probe(ProbedProcess process, long code) {
    var requests = new ArrayList<ProbeRequest>();
    for (int offset : OFFSETS) {
      requests.add(ProbeRequest.at(code + offset, hit -> {}).trustingBoundary());
    }
    requests.set(2, requests.get(2).inContext(HandlerContext.TASK));
    return process.register(requests);
  }

  private static void call(TargetProcess target, byte[] code, int number) {
    target.send("call");
    long expected = (Arrays.equals(code, TWICE) ? 2L : 3L) * number
        + (Arrays.equals(code, THRICE) ? 5 : 7);
    assertThat(target.awaitLine("result ")).isEqualTo("result " + expected);
  }

  @ParameterizedTest
  @EnumSource(Change.class)
  void nothingIsHarmed(Change change) {
    for (String kind : KINDS) {
      for (Next next : Next.values()) {
        try (TargetProcess target = TargetProcess.start(REMAP, file.toString())) {
          check(target, kind, change, next);
        } catch (AssertionError e) {
          throw new AssertionError(kind + " " + change + " " + next + ": " + e.getMessage(), e);
        }
      }
    }
  }

  private static void check(TargetProcess target, String kind, Change change, Next next) {
    int calls = 0;
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      long code = change(target, kind);
      List<Probe> probes = probe(process, code);
      call(target, TWICE, ++calls);
      assertThat(probes).allMatch(probe -> probe.hits() == 1);
      for (String command : change.commands) {
        code = change(target, command);
      }
      switch (next) {
        case CALL -> {
          if (isCallable(change)) {
            call(target, change.after, ++calls);
            call(target, change.after, ++calls);
          }
        }
        case CLOSE -> close(process);
        case UNREGISTER -> probes.forEach(Probe::unregister);
        case REGISTER_ELSEWHERE -> {
          if (isCallable(change) && !change.commands.contains("rewrite")) {
            for (Probe probe : probes) {
              probe.unregister();
            }
            List<Probe> again = probe(process, code);
            call(target, change.after, ++calls);
            assertThat(again).allMatch(probe -> probe.hits() == 1);
          }
        }
        case FORGET -> process.register(ProbeRequest.at("remap", "say", hit -> {}));
      }
    }
    if (change.after != null) {
      target.send("dump");
      assertThat(target.awaitLine("dump ")).as("what is mapped there")
          .startsWith("dump " + HexFormat.of().formatHex(change.after));
    }
    if (isCallable(change)) {
      call(target, change.after, ++calls);
    } else {
      target.send("try");
      assertThat(target.awaitLine("fault ")).isEqualTo(change == Change.UNMAP ? "fault 11" : "fault 5");
    }
    change(target, kind);
    target.send("call");
    target.awaitLine("result ");
  }

  /** The copy has breakpoints that were removed from the original meanwhile, with or without the session. */
  @ParameterizedTest
  @EnumSource(names = {"UNREGISTER", "CALL", "CLOSE"})
  void aCopyMadeWhileProbedIsPutInPlaceLater(Next next) {
    for (String kind : List.of("file")) {
      try (TargetProcess target = TargetProcess.start(REMAP, file.toString())) {
        int calls = 0;
        try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
          long code = change(target, kind);
          List<Probe> probes = probe(process, code);
          change(target, "copy");
          if (next == Next.UNREGISTER) {
            probes.forEach(Probe::unregister);
          }
          change(target, "place");
          if (next != Next.CLOSE) {
            call(target, TWICE, ++calls);
            assertThat(probes).allMatch(probe -> probe.hits() == (next == Next.CALL ? 1 : 0));
          }
        }
        call(target, TWICE, ++calls);
        target.send("dump");
        assertThat(target.awaitLine("dump ")).startsWith("dump " + HexFormat.of().formatHex(TWICE));
      }
    }
  }

  /** Each hit finds the instruction as it is now, by whatever technique it was displaced. */
  @ParameterizedTest
  @EnumSource(names = {"BOOSTED", "TRAPPED", "SINGLE_STEPPED"})
  void anInstructionIsExecutedAsItIsNow(Technique technique) {
    try (TargetProcess target = TargetProcess.start(REMAP, file.toString())) {
      try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
        long code = change(target, "file");
        Probe probe = process
            .register(ProbeRequest.at(code + 4, hit -> {}).trustingBoundary().with(technique));
        call(target, TWICE, 1);
        change(target, "operand");
        call(target, OPERAND, 2);
        call(target, OPERAND, 3);
        assertThat(probe.hits()).isEqualTo(3);
        assertThat(probe.technique()).isEqualTo(technique);
      }
      call(target, OPERAND, 4);
    }
  }

  @Test
  void anInstructionThatBecomesOneThatCannotBeProbedEndsItsProbes() {
    var failures = new LinkedBlockingQueue<Throwable>();
    ProbingOptions options = ProbingOptions.defaults()
        .withErrorListener((probe, thrown) -> failures.add(thrown));
    try (TargetProcess target = TargetProcess.start(REMAP, file.toString());
        ProbedProcess process = ProbedProcess.attach(target.pid(), options)) {
      long code = change(target, "file");
      Probe probe = process.register(ProbeRequest.at(code + 4, hit -> {}).trustingBoundary());
      call(target, TWICE, 1);
      change(target, "forbid");
      target.send("try");
      assertThat(target.awaitLine("fault ")).isEqualTo("fault 11");
      assertThat(failures).singleElement().isInstanceOfSatisfying(ProbeException.class,
          e -> assertThat(e.reason()).isEqualTo(ProbeException.Reason.CODE_CHANGED));
      assertThat(probe.isActive()).isFalse();
      assertThat(probe.hits()).isEqualTo(1);
      assertThat(process.memory().readText(code + 4, 2)).isEqualTo(new byte[]{0x48, (byte) 0xcf});
    }
  }

  private static boolean isCallable(Change change) {
    return change != Change.UNMAP && change != Change.OVER;
  }

  /** Before the end of its block, where closing again has no effect. */
  private static void close(ProbedProcess process) {
    process.close();
  }
}

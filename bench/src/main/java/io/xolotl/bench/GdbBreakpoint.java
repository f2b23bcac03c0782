package io.xolotl.bench;

import io.xolotl.lab.Await;
import io.xolotl.lab.ExitStatus;
import io.xolotl.lab.TargetProcess;
import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * A breakpoint of gdb(1) whose condition is a Python method that returns False: what most people have at hand
 * when they want to run code at an instruction.
 */
public final class GdbBreakpoint implements AutoCloseable {

  /** The first True ends the experiment: gdb's own stop and detaching are not a part of what is measured. */
  private static final String SCRIPT = """
      import gdb
      gdb.execute("set pagination off")
      gdb.execute("set confirm off")
      class Hit(gdb.Breakpoint):
          seen = 0
          def stop(self):
              self.seen += 1
              return self.seen > %d
      gdb.execute("attach %d")
      hit = Hit("*0x%x")
      print("ready", flush=True)
      gdb.execute("continue")
      print("hits", hit.seen - 1, flush=True)
      hit.delete()
      gdb.execute("detach")
      """;

  private final HitLoop loop;
  private final String kind;
  private final long hits;
  private final Path script;
  private final TargetProcess gdb;

  private GdbBreakpoint(HitLoop loop, String kind, long hits, Path script, TargetProcess gdb) {
    this.loop = loop;
    this.kind = kind;
    this.hits = hits;
    this.script = script;
    this.gdb = gdb;
  }

  /**
   * Attaches gdb to a process and puts the breakpoint there.
   *
   * @param loop the process, which nobody traces
   * @param kind the instruction
   * @param hits how many there will be
   * @return the breakpoint; empty if there is no gdb on this machine
   * @throws AssertionError if gdb cannot do it
   */
  public static Optional<GdbBreakpoint> attach(HitLoop loop, String kind, long hits) {
    if (!isInstalled()) {
      return Optional.empty();
    }
    try {
      Path script = Files.createTempFile("xolotl-gdb-", ".py");
      Files.writeString(script, SCRIPT.formatted(hits, loop.pid(), loop.site(kind)));
      TargetProcess gdb = TargetProcess
          .start(
              List.of("gdb", "-nx", "-batch", "-iex", "set debuginfod enabled off", "-x", script.toString()));
      var breakpoint = new GdbBreakpoint(loop, kind, hits, script, gdb);
      boolean ready = false;
      try {
        gdb.awaitLine("ready");
        ready = true;
      } finally {
        if (!ready) {
          breakpoint.close();
        }
      }
      return Optional.of(breakpoint);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static boolean isInstalled() {
    return Arrays.stream(System.getenv().getOrDefault("PATH", "").split(File.pathSeparator))
        .anyMatch(directory -> Files.isExecutable(Path.of(directory, "gdb")));
  }

  /**
   * Lets gdb detach, by one hit more.
   *
   * @throws AssertionError if it saw another number of hits
   */
  public void awaitDetached() {
    loop.run(kind, 1);
    gdb.awaitLine(("hits " + hits)::equals, Await.PATIENCE);
    if (!gdb.exitStatus().equals(ExitStatus.SUCCESS)) {
      throw new AssertionError(gdb.transcript());
    }
  }

  /** Ends gdb. Before it has detached, the process dies at the next hit. */
  @Override
  public void close() {
    gdb.close();
    try {
      Files.deleteIfExists(script);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}

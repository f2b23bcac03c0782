package io.xolotl.cli;

import io.xolotl.xol.Probe;
import io.xolotl.xol.ProbingOptions;
import java.io.IOException;
import java.io.StringWriter;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.OptionalInt;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParentCommand;

/** Counts hits. */
@Command(name = "count", mixinStandardHelpOptions = true, sortOptions = false,
    description = "Counts how often threads arrive at instructions.",
    customSynopsis = {
        "xolotl count -p PID -e LOCATION... [OPTIONS]",
        "       xolotl count -e LOCATION... [OPTIONS] -- COMMAND ARGS"},
    footer = {"",
        "Ends when the process ends, after --for, or by Ctrl-C or SIGTERM, and then prints its table. "
            + "A table on a terminal is refreshed meanwhile, unless a launched program may write there too."})
final class CountCommand implements Callable<Integer> {
  private static final Duration REFRESH = Duration.ofMillis(500);

  @ParentCommand
  @SuppressWarnings("NullAway.Init") // picocli's
  private Xolotl xolotl;

  @Mixin
  private final TargetOptions target = new TargetOptions();

  @Mixin
  private final ProbeOptions probing = new ProbeOptions();

  @Option(names = "--json",
      description = "Print one JSON document; a launched program's output goes to standard error.")
  private boolean json;

  @Override
  public Integer call() throws IOException {
    Shell shell = xolotl.shell();
    Session session = target.open(xolotl, json, ProbingOptions.defaults());
    CountTable table;
    try (session) {
      List<Probe> probes = probing.register(session.process(), _ -> _ -> {
        // The probe counts by itself.
      }, shell);
      boolean live = !json && !session.isLaunched() && shell.terminal().getAsBoolean();
      table = new CountTable(probes);
      session.run(probing.limit(), REFRESH, () -> {
        if (live) {
          refresh(shell.output(), table);
        }
      }, shell.interruption(), shell.output().failed());
      session.end();
    }
    // Only now do the counts stand still.
    shell.print(out -> {
      if (json) {
        writeJson(out, table.probes(), session.exitStatus());
      } else {
        table.write(out);
        String epilogue = session.epilogue();
        if (epilogue != null) {
          out.write(Visible.of(epilogue) + '\n');
        }
      }
    });
    return Xolotl.DONE;
  }

  /**
   * A terminal that is stopped (Ctrl-S) must not keep the command from its end: it misses tables meanwhile.
   */
  private static void refresh(Outlet terminal, CountTable table) {
    if (terminal.isIdle()) {
      var text = new StringWriter();
      try {
        table.refresh(text);
      } catch (IOException e) {
        throw new IllegalStateException("a string takes everything", e);
      }
      byte[] bytes = text.toString().getBytes(StandardCharsets.UTF_8);
      terminal.add(bytes, 0, bytes.length);
    }
  }

  private static void writeJson(Writer out, List<Probe> probes, OptionalInt exitStatus) throws IOException {
    var document = new JsonWriter(out).beginObject().name("probes").beginArray();
    for (Probe probe : probes) {
      document.beginObject().name("location").value(probe.location().toString())
          .name("address").value(Names.hex(probe.address()))
          .name("technique").value(Names.of(probe.technique()))
          .name("hits").value(probe.hits()).endObject();
    }
    document.endArray();
    if (exitStatus.isPresent()) {
      document.name("exitStatus").value(exitStatus.getAsInt());
    }
    document.endObject();
    out.write('\n');
  }
}

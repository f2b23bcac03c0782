package io.xolotl.cli;

import io.xolotl.decoder.Technique;
import io.xolotl.ptrace.TerminalSize;
import io.xolotl.xol.ProbeException;
import io.xolotl.xol.ProbingOptions;
import java.io.IOException;
import java.io.StringWriter;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.OptionalInt;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParentCommand;

/** Counts hits. */
@Command(name = "count", mixinStandardHelpOptions = true, sortOptions = false,
    header = "Counts how often threads arrive at instructions.",
    customSynopsis = {
        "xolotl count -p PID -e LOCATION... [OPTIONS]",
        "       xolotl count -e LOCATION... [OPTIONS] -- COMMAND ARGS"},
    description = "Ends when the process ends, after --for, or by Ctrl-C or SIGTERM, and then prints its "
        + "table. A table on a terminal is refreshed meanwhile, unless a launched program may write there "
        + "too.",
    footerHeading = Xolotl.EXAMPLES, footer = {
        "  xolotl count -e libc.so.6:malloc -e libc.so.6:free -- ls -l",
        "  xolotl count -p 1234 -e 'libc.so.6:pthread_mutex_*' --for 5s  # all that match",
        "  xolotl count -p nginx -e 'nginx:ngx_http_*' --top 20          # the most hits",
        "  xolotl count --follow -e libc.so.6:malloc -- make             # children, too",
        "  xolotl count -e libc.so.6:malloc --json -- ls                 # for programs"})
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

  @Option(names = "--all",
      description = "Show locations without a hit, too.")
  private boolean all;

  @Option(names = "--top", paramLabel = "N", converter = TopConverter.class,
      description = "Show the N locations with the most hits.")
  private int top = Integer.MAX_VALUE;

  @Option(names = "--by", paramLabel = "KEY", converter = KeyConverter.class,
      description = "Count apart by this: pid, with --follow.")
  private @Nullable Key key;

  /** What counts are kept apart by. */
  private enum Key {
    PID
  }

  @Override
  public Integer call() throws IOException {
    Shell shell = xolotl.shell();
    boolean byPid = key == Key.PID;
    var probes = new Probing(probing, _ -> _ -> {
      // The probe counts by itself.
    }, shell, byPid);
    ProbingOptions options = ProbingOptions.defaults();
    Session session = target.open(xolotl, json, probes.of(options.withErrorListener((probe, thrown) -> {
      if (thrown instanceof ProbeException why) {
        probes.lost(probe, why);
      } else {
        options.errorListener().accept(probe, thrown);
      }
    })));
    var table = new CountTable(probes.rows(), new CountTable.Choice(all, top), byPid);
    double seconds;
    try (session) {
      probes.register(session.process());
      table.begin();
      boolean live = !json && !session.isLaunched();
      session.run(probing.limit(), REFRESH, () -> {
        if (live) {
          shell.terminal().get().ifPresent(terminal -> refresh(shell.output(), table, terminal));
        }
      }, shell.interruption(), shell.output().failed());
      seconds = table.seconds();
      session.end();
    } finally {
      probes.close();
    }
    if (!probes.rows().anyPlaced()) {
      throw new Failure("nothing of what was to be probed has been there");
    }
    // Only now do the counts stand still.
    shell.print(out -> {
      if (json) {
        writeJson(out, probes, session, seconds);
      } else {
        table.write(out, shell.terminal().get());
        String epilogue = session.epilogue();
        if (epilogue != null) {
          out.write(Visible.of(epilogue) + '\n');
        }
      }
    });
    if (!json) {
      probes.sayChildrenNotProbed(session.process());
    }
    return Xolotl.DONE;
  }

  /**
   * A terminal that is stopped (Ctrl-S) must not keep the command from its end: it misses tables meanwhile.
   */
  private static void refresh(Outlet output, CountTable table, TerminalSize terminal) {
    if (output.isIdle()) {
      var text = new StringWriter();
      try {
        table.refresh(text, terminal);
      } catch (IOException e) {
        throw new IllegalStateException("a string takes everything", e);
      }
      byte[] bytes = text.toString().getBytes(StandardCharsets.UTF_8);
      output.add(bytes, 0, bytes.length);
    }
  }

  private void writeJson(Writer out, Probing probes, Session session, double seconds) throws IOException {
    var document = new JsonWriter(out).beginObject().name("pid").value(session.process().pid())
        .name("seconds").value(seconds).name("probes").beginArray();
    for (ProbeRows.Row row : probes.rows().all()) {
      long hits = row.hits();
      Long address = row.address();
      Technique technique = row.technique();
      document.beginObject().name("location").value(row.location()).name("aliases").beginArray();
      for (String alias : row.aliases()) {
        document.value(alias);
      }
      document.endArray();
      if (key == Key.PID) {
        document.name("pid").value(row.pid());
      }
      document.name("address").value(address == null ? null : Names.hex(address))
          .name("technique").value(technique == null ? null : Names.of(technique))
          .name("hits").value(hits).name("hitsPerSecond").value(hits / seconds).endObject();
    }
    document.endArray().name("childrenNotProbed").value(probes.childrenNotProbed(session.process()));
    OptionalInt exitStatus = session.exitStatus();
    if (exitStatus.isPresent()) {
      document.name("exitStatus").value(exitStatus.getAsInt());
    }
    document.endObject();
    out.write('\n');
  }

  static final class TopConverter implements ITypeConverter<Integer> {
    @Override
    public Integer convert(String value) {
      return (int) Names.parseNumber(value, 1, Integer.MAX_VALUE);
    }
  }

  static final class KeyConverter implements ITypeConverter<Key> {
    @Override
    public Key convert(String value) {
      return Names.parse(Key.class, value);
    }
  }
}

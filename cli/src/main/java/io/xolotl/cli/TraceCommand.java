package io.xolotl.cli;

import io.xolotl.ptrace.UserRegister;
import io.xolotl.xol.ProbeException;
import io.xolotl.xol.ProbingOptions;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.OptionalInt;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParentCommand;

/** Prints hits. */
@Command(name = "trace", mixinStandardHelpOptions = true, sortOptions = false,
    header = "Prints a line for every arrival of a thread at an instruction.",
    customSynopsis = {
        "xolotl trace -p PID -e LOCATION... [OPTIONS]",
        "       xolotl trace -e LOCATION... [OPTIONS] -- COMMAND ARGS"},
    description = {
        "A line has the time in seconds since the beginning, the thread, the location, and registers.",
        "",
        "Ends when the process ends, after --for, or by Ctrl-C or SIGTERM; all hits until then are "
            + "printed. The process does not wait for the reader: lines that are not read as fast as they "
            + "come are left out, and standard error says how many (in the document: lost). With --lossless "
            + "the process waits instead, until the command ends."},
    footerHeading = Xolotl.EXAMPLES, footer = {
        "  xolotl trace -p 1234 -e libc.so.6:openat --regs rdi,rsi",
        "  xolotl trace -e libc.so.6:malloc --regs rdi -- ls -l      # the sizes",
        "  xolotl trace -p 1234 -e libc.so.6:read+4 --for 10s        # an instruction",
        "  xolotl trace -p 1234 -e libc.so.6:write --lossless --json"})
final class TraceCommand implements Callable<Integer> {
  private static final Duration FOREVER = Duration.ofNanos(Long.MAX_VALUE);

  @ParentCommand
  @SuppressWarnings("NullAway.Init") // picocli's
  private Xolotl xolotl;

  @Mixin
  private final TargetOptions target = new TargetOptions();

  @Mixin
  private final ProbeOptions probing = new ProbeOptions();

  @Option(names = "--regs", split = ",", paramLabel = "REGISTER", converter = RegisterConverter.class,
      description = "The registers to print, for instance rax,rdi,rip. Without it, the six that hold a "
          + "function's first integer arguments: rdi,rsi,rdx,rcx,r8,r9.")
  private List<UserRegister> registers = List.of(UserRegister.RDI, UserRegister.RSI, UserRegister.RDX,
      UserRegister.RCX,
      UserRegister.R8, UserRegister.R9);

  @Option(names = "--json",
      description = "Print one JSON document; a launched program's output goes to standard error.")
  private boolean json;

  @ArgGroup(exclusive = true)
  private final WhenUnread whenUnread = new WhenUnread();

  /** What happens to lines that nobody reads. */
  static final class WhenUnread {
    @Option(names = "--drop",
        description = "Leave out lines that are not read as fast as they come, and count them (the default).")
    boolean drop;

    @Option(names = "--lossless",
        description = "Leave out no line: the process waits until the output is read.")
    private boolean lossless;
  }

  @Override
  public Integer call() throws IOException {
    Shell shell = xolotl.shell();
    var failure = new CompletableFuture<Void>();
    TraceFormat format = json ? TraceFormat.json(registers) : TraceFormat.text(registers);
    var output = new TraceOutput(shell, format, whenUnread.lossless);
    var probes = new Probing(probing, location -> output.handler(location.toString()), shell, false);
    ProbingOptions options = ProbingOptions.defaults().withErrorListener((probe, thrown) -> {
      if (thrown instanceof ProbeException why) {
        probes.lost(probe, why);
      } else {
        failure.completeExceptionally(thrown);
      }
    });
    Session session;
    try {
      session = target.open(xolotl, json, probes.of(options));
      try (session) {
        probes.register(session.process());
        output.begin();
        session.run(probing.limit(), FOREVER, () -> {
          // Hits come by themselves.
        }, shell.interruption(), shell.output().failed(), failure);
        output.waitNoLonger();
        session.end();
      }
    } finally {
      probes.close();
      output.discard();
    }
    // Only now does no handler run any more.
    output.end(lost -> json
        ? epilogue(lost, probes.childrenNotProbed(session.process()), session.exitStatus())
        : "");
    if (!json) {
      probes.sayChildrenNotProbed(session.process());
    }
    return Xolotl.DONE;
  }

  private static String epilogue(long lost, long childrenNotProbed, OptionalInt exitStatus) {
    return "],\"lost\":" + lost + ",\"childrenNotProbed\":" + childrenNotProbed
        + (exitStatus.isPresent() ? ",\"exitStatus\":" + exitStatus.getAsInt() : "")
        + "}\n";
  }

  static final class RegisterConverter implements ITypeConverter<UserRegister> {
    @Override
    public UserRegister convert(String value) {
      return Names.parse(UserRegister.class, value);
    }
  }
}

package io.xolotl.cli;

import io.xolotl.decoder.RelocationPolicy;
import io.xolotl.xol.Function;
import io.xolotl.xol.HandlerContext;
import io.xolotl.xol.Probe;
import io.xolotl.xol.ProbeException;
import io.xolotl.xol.ProbeHandler;
import io.xolotl.xol.ProbeLocation;
import io.xolotl.xol.ProbeRequest;
import io.xolotl.xol.ProbedProcess;
import io.xolotl.xol.Technique;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;

/** What to probe and how. */
final class ProbeOptions {

  @Option(names = {"-e", "--at"}, required = true, paramLabel = "LOCATION", converter = LocationConverter.class,
      description = "Where: MODULE:SYMBOL[+OFFSET] or 0xADDRESS. In the symbol * and ? stand for any characters: "
          + "every matching function is probed, except those that are refused. May be repeated.")
  private List<ProbeLocation> locations = List.of();

  @Option(names = "--technique", paramLabel = "TECHNIQUE", converter = TechniqueConverter.class,
      description = "Execute displaced instructions in this way: emulated, trapped or single-stepped. "
          + "Without it, the best is chosen for each.")
  private @Nullable Technique technique;

  @Option(names = "--policy", paramLabel = "POLICY", converter = PolicyConverter.class, defaultValue = "full",
      description = "full (the default), or strict: refuse what cannot be copied unchanged.")
  private RelocationPolicy policy = RelocationPolicy.FULL;

  @Option(names = "--context", paramLabel = "CONTEXT", converter = ContextConverter.class, defaultValue = "interrupt",
      description = "Run handlers in interrupt context (the default), one at a time, or in task context, "
          + "in parallel.")
  private HandlerContext context = HandlerContext.INTERRUPT;

  @Option(names = "--for", paramLabel = "TIME", converter = DurationConverter.class,
      description = "End after this time, for instance 500ms, 5s, 2m. A launched program is ended too.")
  private @Nullable Duration limit;

  /** How long to probe; null until the process ends or somebody ends the command. */
  @Nullable
  Duration limit() {
    return limit;
  }

  /** Makes a location's handler. */
  interface Handlers {
    ProbeHandler at(ProbeLocation location);
  }

  /**
   * Registers all probes. A location that is refused is an error; of a pattern's functions, those that are refused are
   * left out and counted in a message.
   */
  List<Probe> register(ProbedProcess process, Handlers handlers, Shell shell) {
    List<ProbeLocation> single = locations.stream().filter(location -> !isPattern(location)).toList();
    // Together, so that nothing is probed if one of them is refused.
    var probes = new ArrayList<>(process.register(requests(single, handlers)));
    for (ProbeLocation location : locations) {
      if (isPattern(location)) {
        var pattern = (ProbeLocation.Symbol) location;
        var refused = new EnumMap<ProbeException.Reason, Integer>(ProbeException.Reason.class);
        List<ProbeLocation> matching = matching(process, pattern);
        registerAccepted(process, requests(matching, handlers), probes, refused);
        if (!refused.isEmpty()) {
          shell.say(summary(pattern, matching.size(), refused));
        }
      }
    }
    if (probes.isEmpty()) {
      throw new Failure("none of the functions can be probed, so there is nothing to do");
    }
    return probes;
  }

  private List<ProbeRequest> requests(List<ProbeLocation> where, Handlers handlers) {
    return where.stream().map(location -> {
      var request = ProbeRequest.at(location, handlers.at(location)).in(context).under(policy);
      return technique == null ? request : request.with(technique);
    }).toList();
  }

  private static boolean isPattern(ProbeLocation location) {
    return switch (location) {
      case ProbeLocation.Symbol(_, String symbol, _) -> Names.isGlob(symbol);
      case ProbeLocation.Address _ -> false;
    };
  }

  private static List<ProbeLocation> matching(ProbedProcess process, ProbeLocation.Symbol pattern) {
    Pattern glob = Names.glob(pattern.symbol());
    var result = new ArrayList<ProbeLocation>();
    for (Function function : process.functions(pattern.module())) {
      function.names().stream().filter(name -> glob.matcher(name).matches()).findFirst()
          .ifPresent(name -> result.add(new ProbeLocation.Symbol(pattern.module(), name, pattern.offset())));
    }
    if (result.isEmpty()) {
      throw new Failure("no function of " + pattern.module() + " matches '" + pattern.symbol()
          + "'; './xolotl list' shows what there is");
    }
    return result;
  }

  /** A set that is refused is halved until what is refused stands alone: most sets of most modules are accepted whole. */
  private static void registerAccepted(ProbedProcess process, List<ProbeRequest> requests, List<Probe> probes,
      Map<ProbeException.Reason, Integer> refused) {
    try {
      probes.addAll(process.register(requests));
    } catch (ProbeException e) {
      if (!concernsOneLocation(e.reason())) {
        throw e;
      }
      if (requests.size() == 1) {
        refused.merge(e.reason(), 1, Integer::sum);
      } else {
        int half = requests.size() / 2;
        registerAccepted(process, requests.subList(0, half), probes, refused);
        registerAccepted(process, requests.subList(half, requests.size()), probes, refused);
      }
    }
  }

  private static boolean concernsOneLocation(ProbeException.Reason reason) {
    return switch (reason) {
      case MODULE_NOT_FOUND, MODULE_AMBIGUOUS, SYMBOL_NOT_FOUND, SYMBOL_AMBIGUOUS, NOT_A_FUNCTION, IFUNC_UNRESOLVED,
          ELF_UNREADABLE, ADDRESS_NOT_MAPPED, NOT_EXECUTABLE, SHARED_MEMORY, NOT_AN_INSTRUCTION_BOUNDARY,
          BOUNDARY_UNVERIFIED, BREAKPOINT_EXISTS, INSTRUCTION_REFUSED, TECHNIQUE_NOT_APPLICABLE, NO_XOL_SPACE -> true;
      case NATIVE_ACCESS_DENIED, DECODER_UNAVAILABLE, NO_SUCH_PROCESS, NOT_PERMITTED, KERNEL_THREAD, ZOMBIE,
          ALREADY_TRACED, OWN_PROCESS, CHILD_OF_THIS_JVM, LAUNCH_FAILED, UNSUPPORTED_PROCESS, PROCESS_GONE, CLOSED,
          SYSTEM_ERROR -> false;
    };
  }

  private static String summary(ProbeLocation.Symbol pattern, int matching, Map<ProbeException.Reason, Integer> refused) {
    int skipped = refused.values().stream().mapToInt(Integer::intValue).sum();
    return "skipped " + skipped + " of the " + matching + " functions that match " + pattern + ": "
        + refused.entrySet().stream().map(entry -> entry.getValue() + " " + Names.of(entry.getKey()))
            .collect(Collectors.joining(", "));
  }

  static final class LocationConverter implements ITypeConverter<ProbeLocation> {
    @Override
    public ProbeLocation convert(String value) {
      try {
        return ProbeLocation.parse(value);
      } catch (IllegalArgumentException e) {
        throw new TypeConversionException(String.valueOf(e.getMessage()));
      }
    }
  }

  static final class TechniqueConverter implements ITypeConverter<Technique> {
    @Override
    public Technique convert(String value) {
      return Names.parse(Technique.class, value);
    }
  }

  static final class PolicyConverter implements ITypeConverter<RelocationPolicy> {
    @Override
    public RelocationPolicy convert(String value) {
      return Names.parse(RelocationPolicy.class, value);
    }
  }

  static final class ContextConverter implements ITypeConverter<HandlerContext> {
    @Override
    public HandlerContext convert(String value) {
      return Names.parse(HandlerContext.class, value);
    }
  }

  static final class DurationConverter implements ITypeConverter<Duration> {
    @Override
    public Duration convert(String value) {
      return Names.parseDuration(value);
    }
  }
}

package io.xolotl.cli;

import io.xolotl.decoder.RelocationPolicy;
import io.xolotl.decoder.Technique;
import io.xolotl.xol.Function;
import io.xolotl.xol.HandlerContext;
import io.xolotl.xol.Probe;
import io.xolotl.xol.ProbeHandler;
import io.xolotl.xol.ProbeLocation;
import io.xolotl.xol.ProbeRequest;
import io.xolotl.xol.ProbedProcess;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;

/** What to probe and how. */
final class ProbeOptions {

  @Option(names = "-e", required = true, paramLabel = "LOCATION", converter = LocationConverter.class,
      description = "Where to probe: MODULE:SYMBOL[+OFFSET] or 0xADDRESS. SYMBOL may be a pattern, with * "
          + "for any characters and ? for one: every function that matches is probed, except those that are "
          + "refused. May be repeated.")
  private List<ProbeLocation> locations = List.of();

  @Option(names = "--technique", paramLabel = "TECHNIQUE", converter = TechniqueConverter.class,
      description = "Execute displaced instructions by this technique: emulated, boosted, trapped or "
          + "single-stepped (default: the best for each).")
  private @Nullable Technique technique;

  @Option(names = "--policy", paramLabel = "POLICY", converter = PolicyConverter.class, defaultValue = "full",
      description = "full (the default), or strict: refuse what cannot be copied unchanged.")
  private RelocationPolicy policy = RelocationPolicy.FULL;

  @Option(names = "--context", paramLabel = "CONTEXT", converter = ContextConverter.class,
      defaultValue = "interrupt",
      description = "Run handlers in interrupt context (the default), one at a time, or in task context, "
          + "in parallel.")
  private HandlerContext context = HandlerContext.INTERRUPT;

  @Option(names = "--trust-boundary",
      description = "Insist that instructions start at the locations, although nothing proves it; patterns "
          + "take functions only, all the same. A breakpoint elsewhere changes what the process computes.")
  private boolean trustBoundary;

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
   * Registers all probes. A location that is refused is an error; of a pattern's functions, those that are
   * refused are left out and counted in a message.
   */
  List<Probe> register(ProbedProcess process, Handlers handlers, Shell shell) {
    return shell.interruption().cuttingShort(() -> registered(process, handlers, shell));
  }

  private List<Probe> registered(ProbedProcess process, Handlers handlers, Shell shell) {
    List<ProbeLocation> single = locations.stream().filter(location -> !isPattern(location)).toList();
    // Together, so that nothing is probed if one of them is refused.
    var probes = new ArrayList<>(process.register(requests(single, handlers, trustBoundary)));
    for (ProbeLocation location : locations) {
      if (isPattern(location)) {
        var pattern = (ProbeLocation.Symbol) location;
        List<ProbeLocation> matching = matching(process, pattern);
        var accepted = AcceptedProbes.register(process, requests(matching, handlers, false));
        probes.addAll(accepted.probes());
        if (!accepted.refusals().isEmpty()) {
          shell.say((matching.size() - accepted.probes().size()) + " of the " + matching.size()
              + " functions that match " + pattern + " are not probed: " + accepted.refusalsText());
        }
      }
    }
    if (probes.isEmpty()) {
      throw new Failure("none of the functions can be probed, so there is nothing to do");
    }
    return probes;
  }

  private List<ProbeRequest> requests(List<ProbeLocation> where, Handlers handlers, boolean trusted) {
    return where.stream().map(location -> {
      var request = ProbeRequest.at(location, handlers.at(location)).in(context).under(policy);
      if (trusted) {
        request = request.trustingBoundary();
      }
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

package io.xolotl.cli;

import io.xolotl.decoder.RelocationPolicy;
import io.xolotl.decoder.Technique;
import io.xolotl.xol.HandlerContext;
import io.xolotl.xol.ProbeHandler;
import io.xolotl.xol.ProbeLocation;
import io.xolotl.xol.ProbeRequest;
import java.time.Duration;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;

/** What to probe and how. */
final class ProbeOptions {

  @Option(names = "-e", required = true, paramLabel = "LOCATION", converter = LocationConverter.class,
      description = "Where to probe: MODULE:SYMBOL[+OFFSET], MODULE+0xADDRESS (of the file, as readelf and "
          + "objdump print it) or 0xADDRESS. SYMBOL may be a C++ name, or a pattern, with * for any "
          + "characters and ? for one: every function that matches is probed, except those that are "
          + "refused. What is not there yet is waited for. May be repeated.")
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

  @Option(names = "--follow",
      description = "Probe the processes that the process creates, and the programs that they execute, too.")
  private boolean follow;

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

  boolean follows() {
    return follow;
  }

  /** What is asked for. */
  List<Wanted> wanted() {
    return locations.stream().map(Wanted::new).toList();
  }

  /**
   * A probe at a location, which waits for what is not there yet.
   *
   * @param trusted whether its boundary may be insisted on
   */
  ProbeRequest request(ProbeLocation location, Handlers handlers, boolean trusted) {
    var request = ProbeRequest.at(location, handlers.at(location)).inContext(context).under(policy)
        .whenItIsMapped();
    if (trusted && trustBoundary) {
      request = request.trustingBoundary();
    }
    return technique == null ? request : request.with(technique);
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

package io.xolotl.bench;

import io.xolotl.decoder.Technique;
import io.xolotl.xol.HandlerContext;
import io.xolotl.xol.Probe;
import io.xolotl.xol.ProbeException;
import io.xolotl.xol.ProbeRequest;
import io.xolotl.xol.ProbedProcess;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.stream.DoubleStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The experiment of the Uprobes Documentation: a program hits one probepoint very often, without a probe,
 * with the handler in interrupt context, and in task context. Beside each stand, in the same rounds, a uprobe
 * of the kernel on the same instruction and a tracer in C that makes the same stops.
 *
 * <p>Whoever starts it says what is wanted of that: a predicate is asked about each measurement by its names.
 * These are the instruction, the technique, the context and the tracer. Without a probe {@link HitRow#NONE}
 * stands for the last three, and gdb has no technique and no context.
 *
 * <p>What is compared is measured within a fraction of a second in the same process, in an order that is
 * reversed from round to round: the clock of the CPU, and who shares it, changes more from minute to minute
 * than the results differ.
 */
public final class HitExperiment implements AutoCloseable {

  private static final String XOLOTL = "xolotl";
  private static final String KERNEL = "kernel";
  private static final String C_LOOP = "c-loop";
  private static final String GDB = "gdb";

  /** The names of tracers. Xolotl's own time is measured beside that of any other. */
  public static final List<String> TRACERS = List.of(XOLOTL, KERNEL, C_LOOP, GDB);

  private static final int MOST_ROUNDS = 10;
  /** A hit of gdb takes as long as many of all others. */
  private static final int GDB_SHARE = 100;
  private static final int GDB_ROUNDS = 3;
  private static final String GDB_KIND = "mov";
  /**
   * Until the JVM has compiled the way of a hit, by its first compiler at least, and by its second at most.
   */
  private static final int LEAST_WARM_UP_HITS = 10_000;
  private static final int MOST_WARM_UP_HITS = 50_000;

  /** An instruction, and a way to execute it. */
  public record Subject(String kind, Technique technique) {
    @Override
    public String toString() {
      return kind + ", " + HitRow.label(technique);
    }
  }

  /**
   * A breakpoint of gdb.
   *
   * @param instruction where it is
   * @param hits how many there were in each round
   * @param nanos the time of a hit
   * @param ratio the time in proportion to that of a probe in interrupt context
   */
  public record Gdb(String instruction, long hits, Quartiles nanos, Quartiles ratio) {}

  /** What is measured in a round. */
  private enum Series {
    UNPROBED, INTERRUPT, TASK, KERNEL, C_LOOP
  }

  private final HitLoop loop;
  private final Predicate<List<String>> wanted;
  private final List<String> kinds;
  private final long iterations;
  private final int rounds;
  private final long hitsPerRound;

  private HitExperiment(HitLoop loop, long iterations, Predicate<List<String>> wanted) {
    this.loop = loop;
    this.wanted = wanted;
    this.iterations = iterations;
    kinds = loop.kinds();
    rounds = (int) Math.min(iterations, MOST_ROUNDS);
    hitsPerRound = Math.ceilDiv(iterations, rounds);
  }

  /**
   * Starts the program.
   *
   * @param iterations how often it hits its probepoint for each result, at least once
   * @param wanted asked by the names of a measurement whether it is wanted
   */
  public static HitExperiment start(long iterations, Predicate<List<String>> wanted) {
    return new HitExperiment(HitLoop.start(), iterations, wanted);
  }

  public int rounds() {
    return rounds;
  }

  public long hitsPerRound() {
    return hitsPerRound;
  }

  /** Ends the program, so that whatever is being measured fails at once. Any thread. */
  public void abandon() {
    loop.kill();
  }

  @Override
  public void close() {
    loop.close();
  }

  /** Why there are no uprobes of the kernel to compare with; empty if there are. */
  public Optional<String> kernelUnavailable() {
    return switch (kernelUprobe(kinds.getFirst())) {
      case KernelUprobes.Counter counter -> {
        counter.close();
        yield Optional.empty();
      }
      case KernelUprobes.Refused _ -> Optional.empty();
      case KernelUprobes.Unavailable(String reason) -> Optional.of(reason);
    };
  }

  private KernelUprobes.Result kernelUprobe(String kind) {
    return KernelUprobes.open(loop.file(), loop.fileOffset(kind), loop.pid());
  }

  /** Every kind of instruction by every technique that applies to it, wanted or not. */
  public List<Subject> subjects() {
    var subjects = new ArrayList<Subject>();
    try (ProbedProcess process = ProbedProcess.attach(loop.pid())) {
      for (String kind : kinds) {
        for (Technique technique : Technique.values()) {
          try {
            process.register(request(kind, HandlerContext.INTERRUPT).with(technique)).unregister();
            subjects.add(new Subject(kind, technique));
          } catch (ProbeException e) {
            if (e.reason() != ProbeException.Reason.TECHNIQUE_NOT_APPLICABLE) {
              throw e;
            }
          }
        }
      }
    }
    return subjects;
  }

  /** The names of all that can be measured. */
  public List<List<String>> measurements(List<Subject> subjects) {
    var measurements = new ArrayList<List<String>>();
    for (Subject subject : subjects) {
      measurements.add(unprobedNames(subject.kind()));
      for (HandlerContext context : HandlerContext.values()) {
        for (String tracer : List.of(XOLOTL, KERNEL, C_LOOP)) {
          measurements.add(names(subject, context, tracer));
        }
      }
    }
    measurements.add(gdbNames());
    return measurements;
  }

  private static List<String> names(Subject subject, HandlerContext context, String tracer) {
    return List.of(subject.kind(), HitRow.label(subject.technique()), HitRow.label(context), tracer);
  }

  private static List<String> unprobedNames(String kind) {
    return List.of(kind, HitRow.NONE);
  }

  private static List<String> gdbNames() {
    return List.of(GDB_KIND, GDB);
  }

  /** Returns true if a row of a subject is wanted, or what stands beside it. */
  public boolean wants(Subject subject) {
    return Stream.of(HandlerContext.values()).anyMatch(context -> wants(subject, context));
  }

  /** Returns true if the row without a probe is wanted. */
  public boolean wantsUnprobed(String kind) {
    return wanted.test(unprobedNames(kind));
  }

  /** Returns true if the comparison with gdb is wanted. */
  public boolean wantsGdb() {
    return wanted.test(gdbNames());
  }

  private boolean wants(Subject subject, HandlerContext context) {
    return Stream.of(XOLOTL, KERNEL, C_LOOP)
        .anyMatch(tracer -> wanted.test(names(subject, context, tracer)));
  }

  private boolean wants(Subject subject, String tracer) {
    return Stream.of(HandlerContext.values())
        .anyMatch(context -> wanted.test(names(subject, context, tracer)));
  }

  private boolean wants(Subject subject, Series series) {
    return switch (series) {
      // It is the overhead's other half.
      case UNPROBED -> true;
      case INTERRUPT -> wants(subject, HandlerContext.INTERRUPT);
      case TASK -> wants(subject, HandlerContext.TASK);
      case KERNEL -> wants(subject, KERNEL);
      case C_LOOP -> wants(subject, C_LOOP);
    };
  }

  /** Lets the JVM compile what is measured. */
  public void warmUp(List<Subject> subjects) {
    long hits = Math.clamp(iterations, LEAST_WARM_UP_HITS, MOST_WARM_UP_HITS);
    for (Technique technique : Technique.values()) {
      subjects.stream().filter(subject -> subject.technique() == technique).findFirst().ifPresent(subject -> {
        for (HandlerContext context : HandlerContext.values()) {
          probed(subject, context, hits);
        }
      });
    }
  }

  private ProbeRequest request(String kind, HandlerContext context) {
    return ProbeRequest.at(loop.site(kind), _ -> {
      // The probe counts by itself.
    }).inContext(context);
  }

  /** Without a probe. */
  public HitRow unprobed(String kind) {
    double[] nanos = new double[rounds];
    for (int round = 0; round < rounds; round++) {
      nanos[round] = unprobedOnce(kind);
    }
    List<Double> values = list(nanos);
    return new HitRow(kind, HitRow.NONE, HitRow.NONE, values, values, null, null, null);
  }

  /** With the handler in interrupt context, and in task context, as far as that is wanted. */
  public List<HitRow> measure(Subject subject) {
    List<HandlerContext> contexts = Stream.of(HandlerContext.values())
        .filter(context -> wants(subject, context)).toList();
    // A round for the JVM and the caches, which is not measured.
    contexts.forEach(context -> probed(subject, context, hitsPerRound));
    List<Series> forwards = Stream.of(Series.values()).filter(series -> wants(subject, series)).toList();
    Map<Series, double[]> nanos = new EnumMap<>(Series.class);
    for (int round = 0; round < rounds; round++) {
      for (Series series : round % 2 == 0 ? forwards : forwards.reversed()) {
        double measured = switch (series) {
          case UNPROBED -> unprobedOnce(subject.kind());
          case INTERRUPT -> probed(subject, HandlerContext.INTERRUPT, hitsPerRound);
          case TASK -> probed(subject, HandlerContext.TASK, hitsPerRound);
          case KERNEL -> kernel(subject.kind());
          case C_LOOP -> cLoop(subject);
        };
        nanos.computeIfAbsent(series, _ -> new double[rounds])[round] = measured;
      }
    }
    return contexts.stream().map(context -> row(subject, context, nanos)).toList();
  }

  private static HitRow row(Subject subject, HandlerContext context, Map<Series, double[]> nanos) {
    Series own = context == HandlerContext.INTERRUPT ? Series.INTERRUPT : Series.TASK;
    return new HitRow(subject.kind(), HitRow.label(subject.technique()), HitRow.label(context),
        Objects.requireNonNull(measured(nanos, own)),
        Objects.requireNonNull(measured(nanos, Series.UNPROBED)), measured(nanos, Series.KERNEL),
        measured(nanos, Series.C_LOOP),
        context == HandlerContext.TASK ? measured(nanos, Series.INTERRUPT) : null);
  }

  private static @Nullable List<Double> measured(Map<Series, double[]> nanos, Series series) {
    double[] values = nanos.get(series);
    return values == null || Double.isNaN(values[0]) ? null : list(values);
  }

  private static List<Double> list(double[] values) {
    return DoubleStream.of(values).boxed().toList();
  }

  /** A round without a probe takes so little time that it can have all iterations. */
  private double unprobedOnce(String kind) {
    return (double) loop.run(kind, iterations) / iterations;
  }

  private double probed(Subject subject, HandlerContext context, long hits) {
    Probe probe;
    double nanos;
    try (ProbedProcess process = ProbedProcess.attach(loop.pid())) {
      probe = process.register(request(subject.kind(), context).with(subject.technique()));
      nanos = perHit(subject.kind(), hits);
    }
    requireHits(hits, probe.hits(), "the probe");
    return nanos;
  }

  /** NaN where the kernel does not do it. */
  private double kernel(String kind) {
    return switch (kernelUprobe(kind)) {
      case KernelUprobes.Counter counter -> {
        try (counter) {
          double nanos = perHit(kind, hitsPerRound);
          requireHits(hitsPerRound, counter.hits(), "the kernel's uprobe");
          yield nanos;
        }
      }
      case KernelUprobes.Refused _, KernelUprobes.Unavailable _ -> Double.NaN;
    };
  }

  /** NaN where the tracer in C cannot do it. */
  private double cLoop(Subject subject) {
    return CTraceLoop.attach(loop, subject.kind(), HitRow.label(subject.technique()), hitsPerRound)
        .map(tracer -> {
          try (tracer) {
            double nanos = perHit(subject.kind(), hitsPerRound);
            tracer.awaitDetached();
            return nanos;
          }
        }).orElse(Double.NaN);
  }

  private double perHit(String kind, long hits) {
    return (double) loop.run(kind, hits) / hits;
  }

  private static void requireHits(long expected, long seen, String who) {
    if (seen != expected) {
      throw new AssertionError(who + " saw " + seen + " of " + expected + " hits; please report this");
    }
  }

  /** Compares with a breakpoint of gdb; empty if there is no gdb. */
  public Optional<Gdb> gdb(List<Subject> subjects) {
    Subject subject = subjects.stream().filter(each -> each.kind().equals(GDB_KIND)).findFirst()
        .orElseThrow();
    long hits = Math.ceilDiv(iterations, GDB_SHARE);
    double[] gdb = new double[GDB_ROUNDS];
    double[] own = new double[GDB_ROUNDS];
    // As in front of other measurements.
    probed(subject, HandlerContext.INTERRUPT, hitsPerRound);
    for (int round = 0; round < GDB_ROUNDS; round++) {
      Optional<GdbBreakpoint> attached = GdbBreakpoint.attach(loop, subject.kind(), hits);
      if (attached.isEmpty()) {
        return Optional.empty();
      }
      try (GdbBreakpoint breakpoint = attached.get()) {
        gdb[round] = perHit(subject.kind(), hits);
        breakpoint.awaitDetached();
      }
      own[round] = probed(subject, HandlerContext.INTERRUPT, hitsPerRound);
    }
    return Optional.of(new Gdb(subject.kind(), hits, Quartiles.of(gdb),
        Quartiles.ofPairs(gdb, own, (one, other) -> one / other)));
  }
}

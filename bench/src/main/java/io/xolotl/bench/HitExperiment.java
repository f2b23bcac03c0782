package io.xolotl.bench;

import io.xolotl.decoder.Technique;
import io.xolotl.xol.HandlerContext;
import io.xolotl.xol.Probe;
import io.xolotl.xol.ProbeException;
import io.xolotl.xol.ProbeRequest;
import io.xolotl.xol.ProbedProcess;
import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The experiment of the Uprobes Documentation: a program hits one probepoint very often, without a probe,
 * with the handler in interrupt context, and in task context. Beside each stand, in the same rounds, a uprobe
 * of the kernel on the same instruction and a tracer in C that makes the same stops.
 *
 * <p>What is compared is measured within a fraction of a second in the same process, in an order that is
 * reversed from round to round: the clock of the CPU, and who shares it, changes more from minute to minute
 * than the results differ.
 */
public final class HitExperiment implements AutoCloseable {

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
  private final List<String> kinds;
  private final long iterations;
  private final int rounds;
  private final long hitsPerRound;

  private HitExperiment(HitLoop loop, long iterations) {
    this.loop = loop;
    this.iterations = iterations;
    kinds = loop.kinds();
    rounds = (int) Math.min(iterations, MOST_ROUNDS);
    hitsPerRound = Math.ceilDiv(iterations, rounds);
  }

  /**
   * Starts the program.
   *
   * @param iterations how often it hits its probepoint for each result, at least once
   */
  public static HitExperiment start(long iterations) {
    return new HitExperiment(HitLoop.start(), iterations);
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

  /** Every kind of instruction by every technique that applies to it. */
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

  /** Lets the JVM compile what is measured. */
  public void warmUp(List<Subject> subjects) {
    long hits = Math.clamp(iterations, LEAST_WARM_UP_HITS, MOST_WARM_UP_HITS);
    for (Technique technique : Technique.values()) {
      subjects.stream().filter(subject -> subject.technique() == technique).findFirst().ifPresent(subject -> {
        probed(subject, HandlerContext.INTERRUPT, hits);
        probed(subject, HandlerContext.TASK, hits);
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
    return new HitRow(kind, HitRow.NONE, HitRow.NONE, Quartiles.of(nanos), Quartiles.of(0), null, null, null,
        null,
        null);
  }

  /** With the handler in interrupt context, and in task context. */
  public List<HitRow> measure(Subject subject) {
    // A round for the JVM and the caches, which is not measured.
    probed(subject, HandlerContext.INTERRUPT, hitsPerRound);
    probed(subject, HandlerContext.TASK, hitsPerRound);
    Map<Series, double[]> nanos = new EnumMap<>(Series.class);
    for (int round = 0; round < rounds; round++) {
      var order = new ArrayList<>(List.of(Series.values()));
      if (round % 2 == 1) {
        Collections.reverse(order);
      }
      for (Series series : order) {
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
    return List.of(row(subject, HandlerContext.INTERRUPT, nanos), row(subject, HandlerContext.TASK, nanos));
  }

  private static HitRow row(Subject subject, HandlerContext context, Map<Series, double[]> nanos) {
    double[] own = series(nanos, context == HandlerContext.INTERRUPT ? Series.INTERRUPT : Series.TASK);
    return new HitRow(subject.kind(), HitRow.label(subject.technique()), HitRow.label(context),
        Quartiles.of(own),
        Quartiles.ofPairs(own, series(nanos, Series.UNPROBED), (probed, unprobed) -> probed - unprobed),
        ifMeasured(nanos, Series.KERNEL), ifMeasured(nanos, Series.C_LOOP), ratio(own, nanos, Series.KERNEL),
        ratio(own, nanos, Series.C_LOOP),
        context == HandlerContext.TASK ? ratio(own, nanos, Series.INTERRUPT) : null);
  }

  private static double[] series(Map<Series, double[]> nanos, Series series) {
    return Objects.requireNonNull(nanos.get(series));
  }

  private static @Nullable Quartiles ifMeasured(Map<Series, double[]> nanos, Series series) {
    double[] values = series(nanos, series);
    return Double.isNaN(values[0]) ? null : Quartiles.of(values);
  }

  private static @Nullable Quartiles ratio(double[] own, Map<Series, double[]> nanos, Series series) {
    double[] values = series(nanos, series);
    return Double.isNaN(values[0]) ? null : Quartiles.ofPairs(own, values, (one, other) -> one / other);
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

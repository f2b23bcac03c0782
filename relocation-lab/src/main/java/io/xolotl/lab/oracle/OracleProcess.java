package io.xolotl.lab.oracle;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * A process that executes cases, replaced by another one when a case kills it. Used by one thread at a time.
 */
final class OracleProcess implements AutoCloseable {

  /** How a case was displaced, or not, and what came of it. */
  record Run(Result result, Displacer.@Nullable Refusal refusal) {}

  /**
   * Relocated code that is executed instead of the cases.
   *
   * @param place where it is
   * @param codes for each case, or null to execute it in its place
   */
  record Copies(Place place, List<@Nullable RelocatedCode> codes) {
    Copies from(int first) {
      return new Copies(place, codes.subList(first, codes.size()));
    }
  }

  private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT;
  private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG;
  private final int cpu;
  /** Written by the oracle's thread, read by whoever abandons it. */
  private volatile @Nullable OracleInstance instance;
  private volatile boolean abandoned;

  OracleProcess(int cpu) {
    this.cpu = cpu;
    instance = new OracleInstance(Integer.toString(cpu));
  }

  private OracleInstance instance() {
    OracleInstance known = instance;
    if (known == null) {
      throwIfAbandoned();
      known = new OracleInstance(Integer.toString(cpu));
      instance = known;
      // Who abandons writes one and reads the other; either they see this process, or this is seen here.
      throwIfAbandoned();
    }
    return known;
  }

  XsaveImage image() {
    return instance().image;
  }

  /**
   * Executes cases.
   *
   * @param displacer how to displace the instructions; null to execute them in their places
   * @param sparse load vector registers as the kernel does after it has run another thread:
   *     {@link XsaveImage#write}
   */
  List<Run> run(List<Case> cases, @Nullable Displacer displacer, boolean sparse) {
    return run(cases, displacer, sparse, new Copies(Place.NEAR, Collections.nCopies(cases.size(), null)));
  }

  /** Executes relocated code in place of cases. */
  List<Run> run(List<Case> cases, Copies copies) {
    return run(cases, null, false, copies);
  }

  private List<Run> run(List<Case> cases, @Nullable Displacer displacer, boolean sparse, Copies copies) {
    var runs = new ArrayList<Run>(cases.size());
    while (runs.size() < cases.size()) {
      runs.addAll(runBatch(batch(cases.subList(runs.size(), cases.size())), displacer, sparse,
          copies.from(runs.size())));
      // The process may not have died of a case.
      throwIfAbandoned();
    }
    return runs;
  }

  /**
   * Kills the process, so that what is being executed fails at once, and everything from now on. Any thread.
   */
  void abandon() {
    abandoned = true;
    OracleInstance known = instance;
    if (known != null) {
      known.kill();
    }
  }

  private void throwIfAbandoned() {
    if (abandoned) {
      throw new IllegalStateException("the oracle was abandoned");
    }
  }

  /** The first cases whose code does not get in each other's way. */
  private static List<Case> batch(List<Case> cases) {
    var taken = new TreeMap<Long, Case>();
    int count = 0;
    for (Case next : cases) {
      Map.Entry<Long, Case> below = taken.floorEntry(next.address() + Case.CELL_BYTES - 1);
      if (count == Layout.BATCH || below != null && below.getKey() > next.address() - Case.CELL_BYTES) {
        break;
      }
      taken.put(next.address(), next);
      count++;
    }
    return cases.subList(0, count);
  }

  /**
   * Returns as many results as there are cases, or fewer if one of them, the last of the results, killed the
   * process.
   */
  private List<Run> runBatch(List<Case> cases, @Nullable Displacer displacer, boolean sparse,
      Copies copies) {
    OracleInstance process = instance();
    for (int i = 0; i < cases.size(); i++) {
      write(process, cases.get(i), process.input(i), sparse);
      write(process, cases.get(i), process.input(i), copies.place(), copies.codes().get(i));
    }
    process.count(cases.size());
    if (!process.order("load")) {
      throw new IllegalStateException("the oracle has died: " + process.target.exitStatus());
    }
    boolean alive;
    Map<Long, Displacer.Refusal> refusals = Map.of();
    if (displacer == null) {
      alive = process.order("run");
    } else {
      List<Long> addresses = cases.stream().flatMap(c -> c.addresses().stream()).toList();
      try (Displacer.Displacement displacement = displacer.displace(process.target.pid(), addresses)) {
        refusals = displacement.refusals();
        alive = process.order("run");
      }
    }
    var runs = new ArrayList<Run>(cases.size());
    int finished = process.memory.get(INT, Layout.HEAD_CURRENT);
    for (int i = 0; i < Math.min(finished, cases.size()); i++) {
      RelocatedCode code = copies.codes().get(i);
      byte[] record = process.record(process.result(i));
      if (code != null) {
        new Translation(cases.get(i), copies.place(), code).translate(record);
      }
      runs.add(new Run(process.result(record), refusal(cases.get(i), refusals)));
    }
    if (!alive) {
      var died = new Ending.Died(process.target.exitStatus());
      runs.add(new Run(new Result(died, new byte[0], process.image), refusal(cases.get(finished), refusals)));
      process.close();
      instance = null;
    }
    return runs;
  }

  private static Displacer.@Nullable Refusal refusal(Case subject, Map<Long, Displacer.Refusal> refusals) {
    List<Displacer.Refusal> all = subject.addresses().stream().map(refusals::get).filter(Objects::nonNull)
        .toList();
    return all.stream().filter(r -> r.kind() == Displacer.Kind.REFUSED).findFirst()
        .orElse(all.size() == subject.addresses().size() ? all.getFirst() : null);
  }

  private static void write(OracleInstance process, Case subject, long at, boolean sparse) {
    MemorySegment memory = process.memory;
    MachineState state = subject.state();
    byte[] code = subject.code();
    memory.set(LONG, at + Layout.IN_ADDRESS, subject.address());
    memory.set(INT, at + Layout.IN_LENGTH, code.length);
    MemorySegment.copy(code, 0, memory, ValueLayout.JAVA_BYTE, at + Layout.IN_CODE, code.length);
    for (int i = 0; i < MachineState.GENERAL.size(); i++) {
      memory.set(LONG, at + Layout.IN_GENERAL + 8L * i, state.general(i));
    }
    memory.set(LONG, at + Layout.IN_FLAGS, state.flags() | MachineState.FIXED_FLAGS);
    memory.set(LONG, at + Layout.IN_FS_BASE, state.fsBase());
    memory.set(LONG, at + Layout.IN_GS_BASE, state.gsBase());
    byte[] image = process.image.write(state.vectors(), sparse);
    MemorySegment.copy(image, 0, memory, ValueLayout.JAVA_BYTE, at + Layout.XSAVE_IMAGE, image.length);
    int options = subject.systemCalls() ? Layout.OPTION_SYSTEM_CALLS : 0;
    for (Region region : Region.values()) {
      if (region.isWritable() && !state.isZero(region)) {
        options |= Layout.OPTION_REGIONS << region.ordinal();
        MemorySegment.copy(state.memory(region), 0, memory, ValueLayout.JAVA_BYTE, at + Layout.region(region),
            Region.BYTES);
      }
    }
    memory.set(INT, at + Layout.IN_OPTIONS, options);
  }

  private static void write(OracleInstance process, Case subject, long at, Place place,
      @Nullable RelocatedCode code) {
    MemorySegment memory = process.memory;
    memory.set(LONG, at + Layout.IN_ENTRY, code == null ? 0 : place.of(subject.address()));
    memory.set(LONG, at + Layout.IN_COPY, place.of(subject.address()));
    memory.set(INT, at + Layout.IN_COPY_LENGTH, code == null ? 0 : code.length());
    if (code != null) {
      MemorySegment.copy(code.code(), 0, memory, ValueLayout.JAVA_BYTE, at + Layout.IN_COPY_CODE,
          code.length());
    }
  }

  /** The CPU's lengths of single instructions, from plain states. */
  List<CpuLength> lengths(List<byte[]> instructions) {
    var lengths = new ArrayList<CpuLength>(instructions.size());
    while (lengths.size() < instructions.size()) {
      List<byte[]> rest = instructions.subList(lengths.size(), instructions.size());
      lengths.addAll(measureBatch(rest.subList(0, Math.min(rest.size(), Layout.BATCH))));
    }
    return lengths;
  }

  private List<CpuLength> measureBatch(List<byte[]> instructions) {
    OracleInstance process = instance();
    for (int i = 0; i < instructions.size(); i++) {
      Case subject = Case.of(instructions.get(i), MachineState.PLAIN);
      write(process, subject, process.input(i), false);
      write(process, subject, process.input(i), Place.NEAR, null);
    }
    process.count(instructions.size());
    boolean alive = process.order("measure");
    int finished = process.memory.get(INT, Layout.HEAD_CURRENT);
    var lengths = new ArrayList<CpuLength>();
    for (int i = 0; i < finished; i++) {
      long at = process.result(i);
      boolean invalid = process.memory.get(INT, at + Layout.OUT_OUTCOME) == Layout.OUTCOME_SIGNAL
          && process.memory.get(INT, at + Layout.OUT_SIGNAL) == Signal.SIGILL;
      lengths.add(new CpuLength(process.memory.get(INT, at + Layout.OUT_LENGTH), invalid));
    }
    if (!alive) {
      throw new IllegalStateException("the oracle has died while it measured "
          + HexFormat.of().formatHex(instructions.get(finished)) + ": "
          + process.target.exitStatus());
    }
    return lengths;
  }

  @Override
  public void close() {
    OracleInstance known = instance;
    if (known != null) {
      known.close();
      instance = null;
    }
  }
}

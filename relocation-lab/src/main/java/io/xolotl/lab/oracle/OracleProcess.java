package io.xolotl.lab.oracle;

import io.xolotl.lab.LabProgram;
import io.xolotl.lab.TargetProcess;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
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

  private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT;
  private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG;
  private static final int WORDS = 8;

  /**
   * A case that does not come out is given up after 2 seconds of CPU time; a batch has few of them, or
   * something is wrong with all.
   */
  private static final Duration PATIENCE = Duration.ofMinutes(3);

  private final int cpu;
  /** Written by the oracle's thread, read by whoever abandons it. */
  private volatile @Nullable Instance instance;
  private volatile boolean abandoned;

  /** A process and the memory that it shares with this JVM. */
  private static final class Instance {

    private final TargetProcess target;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment memory;
    private final XsaveImage image;

    Instance(int cpu) {
      target = TargetProcess.start(LabProgram.ORACLE, Integer.toString(cpu));
      String descriptor = target.awaitLine("memory ").substring("memory ".length());
      Path file = Path.of("/proc/" + target.pid() + "/fd/" + descriptor);
      try (var channel = FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
        memory = channel.map(FileChannel.MapMode.READ_WRITE, 0, Layout.BYTES, arena);
      } catch (IOException e) {
        close();
        throw new UncheckedIOException("cannot share memory with " + target, e);
      }
      checkLayout();
      int[] offsets = new int[WORDS];
      for (int i = 0; i < offsets.length; i++) {
        offsets[i] = memory.get(INT, Layout.HEAD_COMPONENTS + 8L * i);
      }
      image = new XsaveImage(memory.get(LONG, Layout.HEAD_XSAVE_MASK), offsets);
    }

    private void checkLayout() {
      boolean same = memory.get(LONG, 0) == Layout.MAGIC;
      for (int i = 0; i < Layout.LAYOUT.length; i++) {
        same &= memory.get(LONG, Layout.HEAD_LAYOUT + 8L * i) == Layout.LAYOUT[i];
      }
      if (!same) {
        close();
        throw new IllegalStateException(
            "the oracle program and this class have different layouts of their memory");
      }
    }

    long input(int i) {
      return Layout.HEAD_BYTES + (long) i * Layout.RECORD_BYTES;
    }

    long result(int i) {
      return input(Layout.BATCH + i);
    }

    void count(int count) {
      memory.set(INT, Layout.HEAD_COUNT, count);
      memory.set(INT, Layout.HEAD_CURRENT, 0);
    }

    /** Returns true if the process has lived to say that it is done. */
    boolean order(String command) {
      target.send(command);
      try {
        target.awaitLine("done", PATIENCE);
        return true;
      } catch (AssertionError e) {
        if (!target.endsOutput()) {
          throw e;
        }
        return false;
      }
    }

    void close() {
      target.close();
      arena.close();
    }
  }

  OracleProcess(int cpu) {
    this.cpu = cpu;
    instance = new Instance(cpu);
  }

  private Instance instance() {
    Instance known = instance;
    if (known == null) {
      throwIfAbandoned();
      known = new Instance(cpu);
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
    var runs = new ArrayList<Run>(cases.size());
    while (runs.size() < cases.size()) {
      runs.addAll(runBatch(batch(cases.subList(runs.size(), cases.size())), displacer, sparse));
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
    Instance known = instance;
    if (known != null && known.target.isAlive()) {
      known.target.signal("KILL");
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
  private List<Run> runBatch(List<Case> cases, @Nullable Displacer displacer, boolean sparse) {
    Instance process = instance();
    for (int i = 0; i < cases.size(); i++) {
      write(process, cases.get(i), process.input(i), sparse);
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
      runs.add(new Run(read(process, process.result(i)), refusal(cases.get(i), refusals)));
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

  private static void write(Instance process, Case subject, long at, boolean sparse) {
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

  private static Result read(Instance process, long at) {
    byte[] record = process.memory.asSlice(at, Layout.RECORD_BYTES).toArray(ValueLayout.JAVA_BYTE);
    Ending ending = switch (process.memory.get(INT, at + Layout.OUT_OUTCOME)) {
      case Layout.OUTCOME_EXITED -> new Ending.Exited(Layout.quad(record, Layout.OUT_RIP));
      case Layout.OUTCOME_SIGNAL -> signalled(process.memory, at, record);
      case Layout.OUTCOME_HANG -> new Ending.Hung();
      default -> throw new IllegalStateException("the oracle has not executed a case");
    };
    return new Result(ending, record, process.image);
  }

  private static Ending signalled(MemorySegment memory, long at, byte[] record) {
    int number = memory.get(INT, at + Layout.OUT_SIGNAL);
    int code = memory.get(INT, at + Layout.OUT_CODE);
    // What a handler finds there with other signals is left from an earlier fault.
    boolean fault = switch (number) {
      case Signal.SIGILL, Signal.SIGBUS, Signal.SIGFPE, Signal.SIGSEGV -> true;
      default -> false;
    };
    long trap = fault ? Layout.quad(record, Layout.OUT_TRAP) : 0;
    return new Ending.Signalled(number, code, Layout.quad(record, Layout.OUT_ADDRESS),
        Layout.quad(record, Layout.OUT_RIP), trap, fault ? Layout.quad(record, Layout.OUT_ERROR) : 0,
        trap == Signal.PAGE_FAULT ? Layout.quad(record, Layout.OUT_CR2) : 0);
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
    Instance process = instance();
    for (int i = 0; i < instructions.size(); i++) {
      write(process, Case.of(instructions.get(i), MachineState.PLAIN), process.input(i), false);
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
    Instance known = instance;
    if (known != null) {
      known.close();
      instance = null;
    }
  }
}

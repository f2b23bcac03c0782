package io.xolotl.xol;

import io.xolotl.decoder.Technique;
import io.xolotl.decoder.Classification;
import io.xolotl.decoder.Decoder;
import io.xolotl.decoder.Decoding;
import io.xolotl.decoder.Instruction;
import io.xolotl.decoder.MachineMode;
import io.xolotl.decoder.Refusal;
import io.xolotl.decoder.RelocationPolicy;
import io.xolotl.decoder.Undecodable;
import io.xolotl.ptrace.MemoryMapping;
import io.xolotl.ptrace.ProcessMemory;
import io.xolotl.ptrace.PtraceException;
import io.xolotl.ptrace.RestartableSequence;
import io.xolotl.ptrace.ThreadGoneException;
import io.xolotl.ptrace.TracedProcess;
import io.xolotl.ptrace.TracedThread;
import io.xolotl.xol.ProbeException.Reason;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.function.BiConsumer;
import java.util.function.LongPredicate;
import org.jspecify.annotations.Nullable;

/**
 * The probed addresses of a process: checks them, puts breakpoints there and takes them out. Owned by the
 * tracer thread.
 *
 * <p>Invariants: a site is in {@link #sites} exactly while its breakpoint is in memory; a slot is taken
 * exactly while its site is there or a thread is pinned to it.
 */
final class Sites {

  private static final int LONGEST = 15;
  private static final System.Logger LOGGER = System.getLogger(ProbedProcess.class.getName());

  private final TracedProcess process;
  private final ProcessMemory memory;
  private final CodeArea area;
  private final Displacements displacements;
  private final RestartableSequences sequences;

  private final LongMap<Site> sites = new LongMap<>();

  /**
   * Where breakpoints have been, and what belongs there: for a thread that executed one before it was taken
   * out, and for a child that was forked before.
   */
  private final LongMap<Site> removed = new LongMap<>();

  /** On the function that the dynamic linker calls for debuggers; null if nobody waits for a module. */
  private @Nullable Probe loaderProbe;
  private final List<Probe> waiting = new ArrayList<>();

  /** The sites that were there when the session began to end. */
  private final Set<Site> last = new HashSet<>();

  /** Why breakpoints could not be looked for when that failed last. */
  private @Nullable PtraceException obstacle;
  /** It was said of a child that it keeps its copies of the slots. */
  private boolean childKeepsSlots;

  Sites(TracedProcess process, CodeArea.InSomeThread threads) {
    this.process = process;
    memory = process.memory();
    area = new CodeArea(process, threads);
    displacements = new Displacements(area);
    sequences = new RestartableSequences(process);
  }

  /**
   * What is mapped in a process is taken for code of the kind of its program; a hit in other code finds out.
   */
  private Decoder decoder() {
    return Decoder.forThisCpu(switch (process.abi()) {
      case X86_64 -> MachineMode.LONG_64;
      case I386 -> MachineMode.COMPAT_32;
    });
  }

  @Nullable
  Site at(long address) {
    return sites.get(address);
  }

  /**
   * Returns true if a thread has executed a breakpoint of ours that was removed since, and whose instruction
   * is whole again. A program that moves its code into other memory may have copied the breakpoint before it
   * was removed: that comes back with the code, and is removed now. In the same memory a breakpoint is one
   * that the program has put there since.
   */
  boolean wasRemovedFrom(TracedThread thread, long address) {
    Site site = removed.get(address);
    if (site == null) {
      return false;
    }
    TracedProcess home = thread.process();
    if (!Breakpoints.isAt(home.memory(), address)) {
      return true;
    }
    MemoryMapping mapping = Breakpoints.mappingAt(address, mappingsOf(home));
    return mapping != null && !Site.Backing.of(mapping, address).equals(site.backing)
        && restore(home, List.of(site)).isEmpty() && !Breakpoints.isAt(home.memory(), address);
  }

  /**
   * Returns true if a breakpoint that belongs to no site is ours all the same, since the program has moved
   * the memory (mremap(2)); the instruction is whole again then.
   */
  boolean wasMovedTo(long address) {
    retireUnmapped();
    return !Breakpoints.isAt(memory, address);
  }

  boolean hasSlots() {
    return !area.isEmpty();
  }

  /** The copy around an address, for a thread that has been created there; null if there is none. */
  @Nullable
  Copy copyAt(long address) {
    Lease lease = area.owner(address);
    return lease != null && lease.attachment() instanceof Copy copy ? copy : null;
  }

  /** Registers all or none: everything that can be refused is, before the first breakpoint is written. */
  void register(List<Engine.Target> targets) {
    SupportedProcess.check(process.pid());
    List<MemoryMapping> mappings = process.mappings();
    var fresh = new LongMap<Site>();
    var boundaries = new Boundaries(decoder(), this::programText);
    var chosen = new ArrayList<Site>(targets.size());
    var added = new ArrayList<Probe>(targets.size());
    try {
      sequences.update(mappings);
      if (targets.stream().anyMatch(target -> !sequences.isFree(target.address()))) {
        process.threads().forEach(sequences::observe);
      }
      for (Engine.Target target : targets) {
        sequences.check(target.address());
        forgetOverwritten(target.address(), mappings);
        Site known = siteAt(target.address(), fresh);
        if (known == null) {
          known = prepare(target, mappings, boundaries, fresh);
          fresh.put(target.address(), known);
        } else {
          checkCompatible(target, known);
        }
        chosen.add(known);
      }
      for (int i = 0; i < chosen.size(); i++) {
        Probe probe = targets.get(i).probe();
        chosen.get(i).add(probe);
        probe.activate(chosen.get(i));
        added.add(probe);
      }
      install(fresh.values());
    } catch (RuntimeException e) {
      unregister(added);
      undo(fresh.values());
      if (mappingsOf(process).isEmpty()) {
        throw new ProbeException(Reason.PROCESS_GONE, "process " + process.pid() + " has ended");
      }
      throw e;
    }
  }

  /**
   * Drops the sites around an address whose breakpoint is no longer in memory: their code was unmapped or
   * written anew, and what is there now was never probed.
   */
  private void forgetOverwritten(long address, List<MemoryMapping> mappings) {
    for (int i = 1 - LONGEST; i < LONGEST; i++) {
      Site site = sites.get(address + i);
      if (site != null && !isIntact(site, mappings)) {
        retire(List.of(site));
      }
    }
  }

  /**
   * The same library, loaded again at the same address, has the same backing but not our breakpoint; code
   * that the program has moved into other memory at the same address has it. What cannot be read though it is
   * mapped may have been unmapped just now: the next look tells.
   */
  private boolean isIntact(Site site, List<MemoryMapping> mappings) {
    MemoryMapping mapping = Breakpoints.mappingAt(site.address(), mappings);
    if (mapping == null) {
      return false;
    }
    Site.Backing mapped = Site.Backing.of(mapping, site.address());
    byte[] now = memory.readText(site.address(), site.code.length);
    if (now.length == 0) {
      return true;
    }
    if (!site.isIn(now, mapped)) {
      return false;
    }
    site.backing = mapped;
    return true;
  }

  /**
   * The memory of sites is unmapped: their probes are over, and whatever is mapped there later is left alone.
   */
  private void retire(List<Site> gone) {
    for (Site site : gone) {
      for (Probe probe : site.probes) {
        probe.deactivate();
      }
      site.probes = new Probe[0];
    }
    uninstall(gone);
  }

  /**
   * A thread has hit a breakpoint behind which the program has changed its code: displaces what is there now.
   *
   * @return the site with the same probes as it is now; null if what is there is no breakpoint of ours
   * @throws ProbeException if what is there now cannot be probed; nothing is changed then
   */
  @Nullable
  Site refresh(Site stale) {
    long address = stale.address();
    List<MemoryMapping> mappings = process.mappings();
    if (!isIntact(stale, mappings)) {
      retire(List.of(stale));
      return null;
    }
    try {
      MemoryMapping mapping = checkMapping(address, mappings);
      byte[] code = programText(address, executableFrom(address, mapping, mappings));
      SignalTrampolines.check(process.abi(), address, code, memory);
      ProbeRequest request = stale.probes[0].request();
      Instruction instruction = decode(address, code, request.policy());
      checkNeighbours(instruction, new LongMap<>());
      Site fresh = displace(request, instruction, mapping, code);
      fresh.probes = stale.probes;
      fresh.installed = true;
      sites.put(address, fresh);
      for (Probe probe : fresh.probes) {
        probe.activate(fresh);
      }
      stale.retire();
      return fresh;
    } catch (ProbeException e) {
      throw changed(address, e);
    } catch (PtraceException e) {
      if (e.reason() != PtraceException.Reason.SECCOMP) {
        throw e;
      }
      throw changed(address, e);
    }
  }

  private static ProbeException changed(long address, RuntimeException refusal) {
    return new ProbeException(Reason.CODE_CHANGED, address,
        "the program has changed the code at " + where(address) + ", and the probe is removed: "
            + refusal.getMessage());
  }

  /** Retires the sites whose memory is unmapped. */
  void retireUnmapped() {
    List<MemoryMapping> mappings = process.mappings();
    retire(sites.values().stream().filter(site -> !isIntact(site, mappings)).toList());
  }

  /** The probes that wait for their module. */
  List<Probe> waiting() {
    waiting.removeIf(probe -> !probe.isWaiting());
    return List.copyOf(waiting);
  }

  /**
   * Lets probes wait for their modules, and has the dynamic linker's word of each change to its list while
   * any waits.
   *
   * @param absent probes that wait, besides those that do already
   * @param whenMappingsChange what to do then
   */
  void await(List<Probe> absent, Runnable whenMappingsChange) {
    var all = new ArrayList<Probe>(waiting());
    all.addAll(absent);
    if (!all.isEmpty() && (loaderProbe == null || !loaderProbe.isActive())) {
      Probe any = all.getFirst();
      long debugState = DynamicLinker.of(process).debugState();
      if (debugState == 0) {
        throw new ProbeException(Reason.MODULE_NOT_FOUND,
            "process " + process.pid() + " has no module for " + any.location()
                + ", and no dynamic linker that would tell of it");
      }
      // If its user leaves, the session asks again for those that go on waiting.
      var probe = new Probe(any.process(),
          ProbeRequest.at(debugState, hit -> whenMappingsChange.run()).trustingBoundary(), null);
      register(List.of(new Engine.Target(probe, debugState, Optional.empty())));
      loaderProbe = probe;
    }
    waiting.addAll(absent);
  }

  // Restartable sequences: see the class of that name.

  /** Takes note of what a stopped thread says of restartable sequences. */
  void observe(TracedThread thread) {
    sequences.observe(thread);
  }

  /**
   * Takes out the sites for which there is no place any more, since sequences have become known.
   *
   * @param ended is given the probes of each, and why
   */
  void endInSequences(BiConsumer<Probe, ProbeException> ended) {
    if (!sequences.takeNews()) {
      return;
    }
    for (Site site : sites.values()) {
      RestartableSequence sequence = sequences.containing(site.address());
      site.watched = !sequences.isFree(site.address());
      site.entersSequence = sequences.startsAt(site.instruction.nextAddress());
      if (sequence != null) {
        end(site, sequences.refusal(sequence, site.address(), "; the probe is removed"), ended);
      } else if (site.entersSequence && !RestartableSequences.isReachedFrom(site.technique(), site.classification)) {
        end(site, RestartableSequences.cannotBeEntered(site.instruction, site.technique()), ended);
      }
    }
  }

  /**
   * Takes out the sites of a restartable sequence that a thread was found in by a hit, whether or not it can
   * be noted.
   *
   * @param ended is given the probes of each, and why
   * @return true if the thread is in one, and can go on at the instruction: the kernel aborts it then
   */
  boolean endInSequence(TracedThread thread, Site hit, BiConsumer<Probe, ProbeException> ended) {
    RestartableSequence sequence = thread.restartableSequence();
    if (sequence == null || !sequence.contains(hit.address())) {
      return false;
    }
    for (Site site : sites.values()) {
      if (sequence.contains(site.address())) {
        end(site, sequences.refusal(sequence, site.address(), "; the probe is removed"), ended);
      }
    }
    return true;
  }

  private void end(Site site, ProbeException why, BiConsumer<Probe, ProbeException> ended) {
    Probe[] probes = site.probes;
    withdraw(site);
    for (Probe probe : probes) {
      ended.accept(probe, why);
    }
  }

  private void install(List<Site> fresh) {
    Breakpoints.install(memory, fresh, site -> {
      // In the map first: from the moment the byte is written any thread may stop there.
      sites.put(site.address(), site);
      site.installed = true;
      removed.remove(site.address());
    });
  }

  /** The probes have been taken off; what was not installed yet gives its slot back. */
  private void undo(List<Site> fresh) {
    fresh.stream().filter(site -> !site.installed).forEach(Site::retire);
  }

  private static void checkCompatible(Engine.Target target, Site site) {
    Optional<Technique> forced = target.request().technique();
    boolean strict = target.request().policy() == RelocationPolicy.STRICT
        && site.policy != RelocationPolicy.STRICT
        && site.instruction.isRipRelative();
    if (strict || forced.isPresent() && forced.get() != site.technique()) {
      throw new ProbeException(Reason.TECHNIQUE_NOT_APPLICABLE, target.address(), where(target.address())
          + " is probed already, " + site.technique() + " under policy " + site.policy
          + "; all probes at one address share that");
    }
  }

  /** Decides all that is to be decided about a new site, and takes its slot. */
  private Site prepare(Engine.Target target, List<MemoryMapping> mappings, Boundaries boundaries,
      LongMap<Site> fresh) {
    long address = target.address();
    MemoryMapping mapping = checkMapping(address, mappings);
    byte[] code = programText(address, executableFrom(address, mapping, mappings));
    SignalTrampolines.check(process.abi(), address, code, memory);
    Instruction instruction = decode(address, code, target.request().policy());
    boundaries.check(target, instruction);
    checkNeighbours(instruction, fresh);
    return displace(target.request(), instruction, mapping, code);
  }

  /** Decides how an instruction is executed, and takes its slot. */
  private Site displace(ProbeRequest request, Instruction instruction, MemoryMapping mapping, byte[] code) {
    long address = instruction.address();
    Classification classification = Classification.of(instruction, request.policy());
    if (classification instanceof Classification.Refuse(Refusal refusal)) {
      throw refused(address, instruction.text(), refusal);
    }
    Technique technique = choose(instruction, classification, request);
    boolean entersSequence = sequences.startsAt(instruction.nextAddress());
    if (entersSequence && !RestartableSequences.isReachedFrom(technique, classification)) {
      throw RestartableSequences.cannotBeEntered(instruction, technique);
    }
    Displacement displacement = displacements.of(instruction, classification, technique, request.policy());
    if (displacement == null) {
      throw instruction.isRipRelative() && Classification.ScratchRegister.of(instruction).isEmpty()
          ? refused(address, instruction.text(), Refusal.NO_SCRATCH_REGISTER)
          : noSpace(address);
    }
    var site = new Site(instruction, mapping, code, request.policy(), classification, displacement);
    if (displacement.technique() != technique && (request.technique().isPresent() || entersSequence)) {
      site.retire();
      throw request.technique().isPresent()
          ? notApplicable(instruction, technique, displacement.technique())
          : noSpace(address);
    }
    site.entersSequence = entersSequence;
    site.watched = !sequences.isFree(address);
    return site;
  }

  private static Technique choose(Instruction instruction, Classification classification,
      ProbeRequest request) {
    Technique natural = Technique.chosenFor(instruction, classification).orElseThrow();
    Technique technique = request.technique().orElse(natural);
    if (technique != natural && !technique.isApplicable(instruction, classification, request.policy())) {
      throw notApplicable(instruction, technique, natural);
    }
    return technique;
  }

  private static ProbeException notApplicable(Instruction instruction, Technique forced, Technique natural) {
    return new ProbeException(Reason.TECHNIQUE_NOT_APPLICABLE, instruction.address(),
        "'" + instruction.text() + "' at " + where(instruction.address()) + " cannot be executed " + forced
            + "; without being told, the engine uses " + natural);
  }

  private MemoryMapping checkMapping(long address, List<MemoryMapping> mappings) {
    MemoryMapping mapping = Breakpoints.mappingAt(address, mappings);
    if (mapping == null) {
      throw new ProbeException(Reason.ADDRESS_NOT_MAPPED, address,
          "nothing is mapped at " + where(address) + " in process " + process.pid());
    }
    if (!mapping.isExecutable()) {
      throw new ProbeException(Reason.NOT_EXECUTABLE, address, where(address) + " in process " + process.pid()
          + " is not executable memory (" + mapping.permissions() + " " + mapping.path() + ")");
    }
    if (mapping.isShared()) {
      throw new ProbeException(Reason.SHARED_MEMORY, address, where(address) + " in process " + process.pid()
          + " is memory shared with others, which a breakpoint would reach too");
    }
    if (area.contains(address)) {
      throw new ProbeException(Reason.NOT_EXECUTABLE, address,
          where(address) + " belongs to Xolotl's own slots");
    }
    return mapping;
  }

  /** How many bytes from an address on can be executed, up to the length of the longest instruction. */
  private static int executableFrom(long address, MemoryMapping mapping, List<MemoryMapping> mappings) {
    MemoryMapping last = mapping;
    while (last.end() - address < LONGEST) {
      MemoryMapping next = Breakpoints.mappingAt(last.end(), mappings);
      if (next == null || !next.isExecutable()) {
        break;
      }
      last = next;
    }
    return (int) Math.min(LONGEST, last.end() - address);
  }

  private Instruction decode(long address, byte[] code, RelocationPolicy policy) {
    if (code.length == 0) {
      throw new ProbeException(Reason.SYSTEM_ERROR, address,
          "the code at " + where(address) + " cannot be read");
    }
    Decoding decoding = decoder().decode(code, address);
    return switch (decoding) {
      case Instruction instruction -> instruction;
      case Undecodable undecodable -> {
        if (!(Classification.of(undecodable, policy) instanceof Classification.Refuse(Refusal refusal))) {
          throw new IllegalStateException("an undecodable instruction is always refused");
        }
        throw refused(address, "what is there", refusal);
      }
    };
  }

  private static ProbeException refused(long address, String what, Refusal refusal) {
    Reason reason = refusal == Refusal.BREAKPOINT_EXISTS
        ? Reason.BREAKPOINT_EXISTS
        : Reason.INSTRUCTION_REFUSED;
    return new ProbeException(reason, address, refusal,
        what + " at " + where(address) + " cannot be probed: " + refusal.description());
  }

  /** Code as the program was loaded with it, without our breakpoints. */
  private byte[] programText(long address, int length) {
    byte[] code = memory.readText(address, length);
    for (int i = 0; i < code.length; i++) {
      if (code[i] == Breakpoints.INT3) {
        Site site = sites.get(address + i);
        if (site != null) {
          code[i] = site.originalByte();
        }
      }
    }
    return code;
  }

  /** A breakpoint inside another displaced instruction would be copied with it, or be jumped over. */
  private void checkNeighbours(Instruction instruction, LongMap<Site> fresh) {
    long address = instruction.address();
    for (int i = 1; i < LONGEST; i++) {
      Site before = siteAt(address - i, fresh);
      if (before != null && before.instruction.length() > i) {
        throw new ProbeException(Reason.NOT_AN_INSTRUCTION_BOUNDARY, address,
            where(address) + " is in the middle of '"
                + before.instruction.text() + "' at " + where(before.address()) + ", which is probed");
      }
      if (i < instruction.length() && siteAt(address + i, fresh) != null) {
        throw new ProbeException(Reason.NOT_AN_INSTRUCTION_BOUNDARY, address,
            "'" + instruction.text() + "' at "
                + where(address) + " reaches over the probed instruction at " + where(address + i));
      }
    }
  }

  private @Nullable Site siteAt(long address, LongMap<Site> fresh) {
    Site known = sites.get(address);
    return known == null ? fresh.get(address) : known;
  }

  private static ProbeException noSpace(long address) {
    return new ProbeException(Reason.NO_XOL_SPACE, address,
        "there is no unmapped memory within 2 GiB of " + where(address) + " for a copy of the instruction");
  }

  /**
   * Without effect on those that were unregistered already, or whose program is gone.
   *
   * @throws ProbeException if a breakpoint cannot be taken out of memory: it has no effect any more, and goes
   *     when the session ends
   */
  void unregister(Collection<Probe> probes) {
    var unused = new ArrayList<Site>();
    for (Probe probe : probes) {
      boolean placed = probe.isActive();
      probe.deactivate();
      Site site = placed ? sites.get(probe.address()) : null;
      if (site != null && site.remove(probe) && site.probes.length == 0) {
        unused.add(site);
      }
    }
    uninstall(unused);
    for (Site site : unused) {
      if (site.installed) {
        throw notRestored(site, process);
      }
    }
  }

  /** Takes out a site whose probes all end. */
  void withdraw(Site site) {
    withdraw(List.of(site));
  }

  private void withdraw(List<Site> all) {
    for (Site site : all) {
      for (Probe probe : site.probes) {
        probe.deactivate();
      }
    }
    uninstall(all);
  }

  private ProbeException notRestored(Site site, TracedProcess target) {
    PtraceException why = obstacle;
    return new ProbeException(Reason.BREAKPOINT_LEFT, site.address(),
        "the breakpoint at " + where(site.address()) + " cannot be taken out of the memory of " + target
            + ", which dies of it if a thread gets there"
            + (why == null ? ": the memory cannot be written" : ": " + why.getMessage()));
  }

  /**
   * Ends all probes, and takes all breakpoints out of memory that can be had; others are tried again with the
   * next call.
   */
  void removeAll() {
    waiting.forEach(Probe::deactivate);
    List<Site> all = sites.values();
    last.addAll(all);
    withdraw(all);
  }

  /**
   * Looks once more at every place where a breakpoint was when the session began to end, and where memory was
   * moved since it was removed. All threads are stopped.
   *
   * @return what to tell if a breakpoint of ours is in memory still, or null
   */
  @Nullable
  ProbeException removeForGood() {
    removeAll();
    var left = new ArrayList<>(sites.values());
    if (!removed.values().isEmpty()) {
      try {
        left.addAll(restore(process, suspects(mappingsOf(process))));
      } catch (PtraceException e) {
        // The other threads are let go all the same.
        obstacle = e;
        left.addAll(removed.values());
      }
    }
    return left.isEmpty() ? null : notRestored(left.getFirst(), process);
  }

  private List<Site> suspects(List<MemoryMapping> mappings) {
    var suspects = new ArrayList<Site>();
    for (Site site : removed.values()) {
      MemoryMapping mapping = Breakpoints.mappingAt(site.address(), mappings);
      if (mapping != null
          && (last.contains(site) || !Site.Backing.of(mapping, site.address()).equals(site.backing))) {
        suspects.add(site);
      }
    }
    return suspects;
  }

  /** Takes sites out whose breakpoints can be had; the others stay. */
  private void uninstall(List<Site> leaving) {
    var rest = new HashSet<>(restore(process, leaving));
    for (Site site : leaving) {
      if (!rest.contains(site)) {
        sites.remove(site.address());
        removed.put(site.address(), site);
        site.retire();
      }
    }
  }

  /**
   * Puts the program's bytes back where our breakpoints are. Memory may be unmapped between the look at the
   * mappings and the access: what could not be had is looked at once more.
   *
   * @param target the process, or one that has copies of its memory
   * @return those that could not be restored though they are mapped, or though nobody knows what is mapped
   */
  private List<Site> restore(TracedProcess target, List<Site> leaving) {
    List<Site> rest = leaving;
    for (int look = 0; look < 2 && !rest.isEmpty(); look++) {
      try {
        rest = Breakpoints.remove(target.memory(), rest, mappingsOf(target),
            address -> sites.get(address) != null);
      } catch (PtraceException e) {
        // What cannot be read is not gone.
        obstacle = e;
      }
    }
    return rest;
  }

  private static List<MemoryMapping> mappingsOf(TracedProcess some) {
    try {
      return some.mappings();
    } catch (ThreadGoneException e) {
      // It has ended, as is reported next, and its memory with it.
      return List.of();
    }
  }

  /**
   * Makes a forked child as if its parent had never been probed. Breakpoints that came or went since the fork
   * are covered too: the byte decides.
   */
  void clean(TracedProcess child, TracedThread thread) {
    child.makeAccessible(thread);
    var all = new ArrayList<>(sites.values());
    all.addAll(removed.values());
    List<Site> rest = restore(child, all);
    try {
      area.unmapFrom(thread, mappingsOf(child));
    } catch (PtraceException e) {
      if (e.reason() != PtraceException.Reason.SECCOMP) {
        throw e;
      }
      if (!childKeepsSlots) {
        // Of one: a server may have thousands.
        childKeepsSlots = true;
        sayThatSlotsStay(child + " and others that process " + process.pid() + " creates", e);
      }
    }
    for (Site site : rest) {
      throw notRestored(site, child);
    }
  }

  /**
   * Takes the breakpoints out of memory that others had together with the process, which has another now or
   * none. Through each of them: one may have ended or executed a program, too.
   */
  void leaveTo(Collection<TracedProcess> borrowers) {
    List<Site> all = sites.values();
    for (TracedProcess borrower : borrowers) {
      for (Site site : restore(borrower, all)) {
        LOGGER.log(System.Logger.Level.ERROR, notRestored(site, borrower).getMessage());
      }
    }
    for (Site site : all) {
      for (Probe probe : site.probes) {
        probe.deactivate();
      }
      site.installed = false;
      sites.remove(site.address());
      removed.put(site.address(), site);
    }
  }

  /** The address space is gone: the process has ended or executed another program. */
  void forgetAll() {
    waiting.forEach(Probe::deactivate);
    for (Site site : sites.values()) {
      for (Probe probe : site.probes) {
        probe.deactivate();
      }
      site.installed = false;
      sites.remove(site.address());
    }
    for (Site site : removed.values()) {
      removed.remove(site.address());
    }
    last.clear();
    area.clear();
    sequences.forget();
  }

  /** What cannot be unmapped does no harm: no thread is in it, and no breakpoint leads there. */
  void sayThatSlotsStay(String who, PtraceException refusal) {
    LOGGER.log(System.Logger.Level.WARNING,
        who + ": memory for copies of probed instructions, " + area.describe()
            + ", stays mapped, unused: " + refusal.getMessage());
  }

  /**
   * Unmaps the slots; no thread may be in one.
   *
   * @throws PtraceException SECCOMP if that thread may not; another may
   */
  void unmapSlots(TracedThread thread) {
    area.unmap(thread);
  }

  private static String where(long address) {
    return "0x" + Long.toHexString(address);
  }
}

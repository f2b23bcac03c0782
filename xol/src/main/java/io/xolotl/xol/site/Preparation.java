package io.xolotl.xol.site;

import io.xolotl.decoder.Classification;
import io.xolotl.decoder.DecodedInstruction;
import io.xolotl.decoder.Decoder;
import io.xolotl.decoder.Decoding;
import io.xolotl.decoder.Effect;
import io.xolotl.decoder.MachineMode;
import io.xolotl.decoder.Refusal;
import io.xolotl.decoder.RelocationPolicy;
import io.xolotl.decoder.ScratchRegister;
import io.xolotl.decoder.Technique;
import io.xolotl.decoder.Undecodable;
import io.xolotl.ptrace.MemoryMapping;
import io.xolotl.ptrace.TracedProcess;
import io.xolotl.xol.code.CodeArea;
import io.xolotl.xol.code.ErrandException;
import io.xolotl.xol.code.LongMap;
import io.xolotl.xol.code.TracerThread;
import io.xolotl.xol.displacement.Displacement;
import io.xolotl.xol.displacement.Displacements;
import io.xolotl.xol.elf.Boundary;
import io.xolotl.xol.site.SiteException.Reason;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.ObjIntConsumer;
import org.jspecify.annotations.Nullable;

/**
 * Makes sites, as far as that goes without a change of the program's code: everything that may refuse an
 * address is here, so that several are registered all or none. Tracer thread only.
 */
@TracerThread
public final class Preparation {

  /** Bytes of the longest instruction. */
  static final int LONGEST = 15;

  private static final String INSIST = ", insist with trustingBoundary() (command line: --trust-boundary)";

  private final TracedProcess process;
  private final Sites sites;
  private final CodeArea area;
  private final Displacements displacements;
  private final RestartableSequences sequences;

  public Preparation(TracedProcess process, Sites sites, CodeArea area, RestartableSequences sequences) {
    this.process = process;
    this.sites = sites;
    this.area = area;
    this.sequences = sequences;
    displacements = new Displacements(area);
  }

  /**
   * Sites for places.
   *
   * @param chosen one for each place, in their order; null where a place was refused
   * @param fresh those among them that are not installed yet
   */
  public record Prepared(List<@Nullable Site> chosen, List<Site> fresh) {}

  /**
   * Finds or makes the sites of places, all or none.
   *
   * @throws SiteException if one of them cannot be probed
   * @throws ErrandException if a copy needs memory, and no thread can map any
   */
  public Prepared prepare(List<Place> places) {
    return prepare(places, (why, _) -> {
      throw why;
    });
  }

  /**
   * Finds or makes the sites of those places that can be probed.
   *
   * @param refused is given the index of each of the others, and why: {@link SiteException} or
   *     {@link ErrandException}; it may throw that
   * @return what is chosen is null for these
   */
  public Prepared prepare(List<Place> places, ObjIntConsumer<RuntimeException> refused) {
    List<MemoryMapping> mappings = process.mappings();
    var fresh = new LongMap<Site>();
    var chosen = new ArrayList<@Nullable Site>(places.size());
    try {
      sequences.update(mappings);
      if (places.stream().anyMatch(place -> !sequences.isFree(place.address()))) {
        process.threads().forEach(sequences::observe);
      }
      for (int i = 0; i < places.size(); i++) {
        Site site = null;
        try {
          site = site(places.get(i), mappings, fresh);
        } catch (SiteException | ErrandException e) {
          refused.accept(e, i);
        }
        chosen.add(site);
      }
    } catch (RuntimeException e) {
      sites.discard(fresh.values());
      throw e;
    }
    return new Prepared(chosen, fresh.values());
  }

  private Site site(Place place, List<MemoryMapping> mappings, LongMap<Site> fresh) {
    sequences.check(place.address());
    sites.forgetOverwritten(place.address(), mappings);
    Site known = siteAt(place.address(), fresh);
    if (known == null) {
      known = prepare(place, mappings, fresh);
      fresh.put(place.address(), known);
    } else {
      checkCompatible(place, known);
    }
    return known;
  }

  private Site prepare(Place place, List<MemoryMapping> mappings, LongMap<Site> fresh) {
    long address = place.address();
    MemoryMapping mapping = checkMapping(address, mappings);
    byte[] code = sites.programText(address, executableFrom(address, mapping, mappings));
    SignalTrampolines.check(process.abi(), address, code, process.memory());
    DecodedInstruction instruction = decode(address, code, place.policy());
    Site guard = place.trusted() ? null : checkBoundary(place, instruction, code, mappings, fresh);
    checkNeighbours(instruction, fresh, guard);
    Site site = displace(instruction, mapping, code, place.policy(), place.technique());
    if (guard != null) {
      site.guard = guard;
      guard.guarded.add(site);
    }
    return site;
  }

  /**
   * Refuses what is not proved to be an instruction's first byte.
   *
   * @return the site of the instruction around that guards it; null as a rule
   */
  private @Nullable Site checkBoundary(Place place, DecodedInstruction instruction, byte[] code,
      List<MemoryMapping> mappings, LongMap<Site> fresh) {
    String where = SiteException.hex(place.address());
    return switch (place.boundary()) {
      case Boundary.Proven(byte[] proven) -> {
        int length = instruction.length();
        // The proof is about the file; who has written other code over it may have moved the boundaries.
        if (proven.length < length || !Arrays.equals(proven, 0, length, code, 0, length)) {
          throw unverified(place, instruction,
              "the process has other code at " + where + " than its file, so nothing shows that an "
                  + "instruction starts there");
        }
        yield null;
      }
      case Boundary.Inside(DecodedInstruction around, boolean start) when start
          && around.nextAddress() == instruction.nextAddress() ->
        guard(place, around, mappings, fresh);
      case Boundary.Inside(DecodedInstruction around, boolean start) ->
        throw new SiteException(Reason.NOT_AN_INSTRUCTION_BOUNDARY, place.address(),
            where + " is in the middle of '" + around.text() + "' at " + SiteException.hex(around.address())
                + (start
                    ? ", which a breakpoint would destroy, though another instruction starts there; if you "
                        + "know that no thread executes the first"
                    : "; if you know better")
                + INSIST);
      case Boundary.Unproven() -> throw unverified(place, instruction,
          "no function starts at " + where + ", and no way along the code leads there from one, so "
              + "nothing shows that an instruction starts there");
    };
  }

  /** Finds or makes the site of an instruction whose prefix is in front of another that starts there. */
  private Site guard(Place place, DecodedInstruction around, List<MemoryMapping> mappings,
      LongMap<Site> fresh) {
    long address = around.address();
    Site known = siteAt(address, fresh);
    if (known != null) {
      return known;
    }
    sequences.check(address);
    MemoryMapping mapping = checkMapping(address, mappings);
    byte[] code = sites.programText(address, executableFrom(address, mapping, mappings));
    if (!Arrays.equals(code, 0, Math.min(code.length, around.length()), around.bytes(), 0, around.length())) {
      throw new SiteException(Reason.BOUNDARY_UNVERIFIED, place.address(),
          "the process has other code at " + SiteException.hex(address) + " than its file, so nothing shows "
              + "that an instruction starts at " + SiteException.hex(place.address())
              + "; if you know that one does" + INSIST);
    }
    checkNeighbours(around, fresh, null);
    Site guard = displace(around, mapping, code, RelocationPolicy.FULL, Optional.empty());
    fresh.put(address, guard);
    return guard;
  }

  private static SiteException unverified(Place place, DecodedInstruction instruction, String why) {
    return new SiteException(Reason.BOUNDARY_UNVERIFIED, place.address(),
        why + "; if you know that '" + instruction.text() + "' does" + INSIST);
  }

  /**
   * Displaces what the program has put behind the breakpoint of a site.
   *
   * @param technique how it must be executed; empty to choose
   * @return what takes the place of that site
   * @throws SiteException with {@link Reason#CODE_CHANGED} if what is there now cannot be probed
   * @throws ErrandException if a copy needs memory, and no thread can map any
   */
  public Site renew(Site stale, RelocationPolicy policy, Optional<Technique> technique,
      List<MemoryMapping> mappings) {
    long address = stale.address();
    try {
      MemoryMapping mapping = checkMapping(address, mappings);
      byte[] code = sites.programText(address, executableFrom(address, mapping, mappings));
      SignalTrampolines.check(process.abi(), address, code, process.memory());
      DecodedInstruction instruction = decode(address, code, policy);
      checkNeighbours(instruction, new LongMap<>(), null);
      return displace(instruction, mapping, code, policy, technique);
    } catch (SiteException e) {
      throw changed(address, e.getMessage());
    }
  }

  /** What is behind the breakpoint now cannot be displaced. */
  public static SiteException changed(long address, @Nullable String why) {
    return new SiteException(Reason.CODE_CHANGED, address, "the program has changed the code at "
        + SiteException.hex(address) + ", and the probe is removed: " + why);
  }

  private static void checkCompatible(Place place, Site site) {
    boolean strict = place.policy() == RelocationPolicy.STRICT && site.policy != RelocationPolicy.STRICT
        && site.instruction.isRipRelative();
    if (strict || place.technique().isPresent() && place.technique().get() != site.technique()) {
      throw new SiteException(Reason.TECHNIQUE_NOT_APPLICABLE, place.address(),
          SiteException.hex(place.address()) + " is already probed with technique " + site.technique()
              + " and policy " + site.policy + ", which all probes at one address share");
    }
  }

  private MemoryMapping checkMapping(long address, List<MemoryMapping> mappings) {
    MemoryMapping mapping = Breakpoints.mappingAt(address, mappings);
    String where = SiteException.hex(address) + " in process " + process.pid();
    if (mapping == null) {
      boolean small = !mappings.isEmpty() && Long.compareUnsigned(address, mappings.getFirst().start()) < 0;
      throw new SiteException(Reason.ADDRESS_NOT_MAPPED, address, "nothing is mapped at " + where
          + (small ? "; an address of a file is named so: MODULE+" + SiteException.hex(address) : ""));
    }
    if (!mapping.isExecutable()) {
      throw new SiteException(Reason.NOT_EXECUTABLE, address, where + " is not executable memory ("
          + mapping.permissions() + " " + mapping.path() + ")");
    }
    if (mapping.isShared()) {
      throw new SiteException(Reason.SHARED_MEMORY, address,
          where + " is shared memory, and a breakpoint in it would stop other processes too");
    }
    if (area.contains(address)) {
      throw new SiteException(Reason.NOT_EXECUTABLE, address,
          SiteException.hex(address) + " belongs to Xolotl's own slots");
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

  /**
   * What is mapped in a process is taken for code of the kind of its program; a hit in other code finds out.
   */
  private Decoder decoder() {
    return Decoder.forThisCpu(switch (process.abi()) {
      case X86_64 -> MachineMode.LONG_64;
      case I386 -> MachineMode.COMPAT_32;
    });
  }

  private DecodedInstruction decode(long address, byte[] code, RelocationPolicy policy) {
    if (code.length == 0) {
      throw new SiteException(Reason.UNREADABLE, address,
          "the code at " + SiteException.hex(address) + " cannot be read");
    }
    Decoding decoding = decoder().decode(code, address);
    return switch (decoding) {
      case DecodedInstruction instruction -> instruction;
      case Undecodable undecodable -> {
        if (!(Classification.of(undecodable, policy) instanceof Classification.Refuse(Refusal refusal))) {
          throw new IllegalStateException("an undecodable instruction is always refused");
        }
        throw SiteException.refused(address, "the code", refusal);
      }
    };
  }

  /** A breakpoint inside another displaced instruction would be copied with it, or be jumped over. */
  private void checkNeighbours(DecodedInstruction instruction, LongMap<Site> fresh, @Nullable Site guard) {
    long address = instruction.address();
    for (int i = 1; i < LONGEST; i++) {
      Site before = siteAt(address - i, fresh);
      if (before != null && before != guard && before.instruction.length() > i) {
        throw new SiteException(Reason.NOT_AN_INSTRUCTION_BOUNDARY, address,
            SiteException.hex(address) + " is in the middle of '" + before.instruction.text() + "' at "
                + SiteException.hex(before.address()) + ", which is probed");
      }
      if (i < instruction.length() && siteAt(address + i, fresh) != null) {
        throw new SiteException(Reason.NOT_AN_INSTRUCTION_BOUNDARY, address,
            "'" + instruction.text() + "' at " + SiteException.hex(address)
                + " overlaps the probed instruction at " + SiteException.hex(address + i));
      }
    }
  }

  private @Nullable Site siteAt(long address, LongMap<Site> fresh) {
    Site known = sites.at(address);
    return known == null ? fresh.get(address) : known;
  }

  /** Decides how an instruction is executed, and takes its slot. */
  private Site displace(DecodedInstruction instruction, MemoryMapping mapping, byte[] code,
      RelocationPolicy policy,
      Optional<Technique> forced) {
    long address = instruction.address();
    Classification classification = Classification.of(instruction, policy);
    Effect effect = switch (classification) {
      case Classification.Accept(Effect accepted) -> accepted;
      case Classification.Refuse(Refusal refusal) ->
        throw SiteException.refused(address, instruction.text(), refusal);
    };
    Technique natural = Technique.chosenFor(classification).orElseThrow();
    Technique technique = forced.orElse(natural);
    if (!technique.isApplicable(instruction, classification, policy)) {
      throw notApplicable(instruction, technique, natural);
    }
    boolean entersSequence = sequences.startsAt(instruction.nextAddress());
    if (entersSequence && !RestartableSequences.isReachedFrom(technique, effect)) {
      throw RestartableSequences.cannotBeEntered(instruction, technique);
    }
    Displacement displacement = displacements.of(instruction, effect, technique, policy);
    if (displacement == null) {
      throw instruction.isRipRelative() && ScratchRegister.of(instruction).isEmpty()
          ? SiteException.refused(address, instruction.text(), Refusal.NO_SCRATCH_REGISTER)
          : noSpace(address);
    }
    var site = new Site(instruction, mapping, code, policy, effect, displacement);
    if (displacement.technique() != technique && (forced.isPresent() || entersSequence)) {
      site.retire();
      throw forced.isPresent()
          ? notApplicable(instruction, technique, displacement.technique())
          : noSpace(address);
    }
    site.entersSequence = entersSequence;
    site.watched = !sequences.isFree(address);
    return site;
  }

  private static SiteException notApplicable(DecodedInstruction instruction, Technique forced,
      Technique natural) {
    return new SiteException(Reason.TECHNIQUE_NOT_APPLICABLE, instruction.address(),
        "'" + instruction.text() + "' at " + SiteException.hex(instruction.address())
            + " cannot be executed by technique " + forced + "; the engine would choose " + natural);
  }

  private static SiteException noSpace(long address) {
    return new SiteException(Reason.NO_XOL_SPACE, address, "there is no unmapped memory within 2 GiB of "
        + SiteException.hex(address) + " for a copy of the instruction");
  }
}

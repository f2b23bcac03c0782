package io.xolotl.xol;

import io.xolotl.ptrace.Registers;
import io.xolotl.ptrace.UserRegister;
import io.xolotl.xol.WaitingProbes.Follower;
import io.xolotl.xol.elf.NonlocalExit;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The probes of one user where code of a process leaves several functions at once, as longjmp and the
 * unwinders of exceptions do, for all return probes that have to be told. Any thread.
 */
final class Unwindings {

  /** Of a process: a hundred libraries with an unwinder of their own each. */
  private static final int MOST = 1 << 10;

  private final ProbedProcess process;
  private final Map<Long, Probe> probes = new ConcurrentHashMap<>();
  /** Those who are told. */
  private final Set<OpenCalls> told = ConcurrentHashMap.newKeySet();
  /** All is watched. Guarded by this object, whose monitor nobody holds who waits for another thread. */
  private boolean complete;
  /** Counts the programs and the pauses between those who are told. Guarded by this object. */
  private int epoch;
  private volatile boolean blind;

  Unwindings(ProbedProcess process) {
    this.process = process;
  }

  /**
   * Tells somebody of everything that comes from now on.
   *
   * @throws ProbeException if the session ends
   */
  void tell(OpenCalls calls) {
    int begun;
    synchronized (this) {
      told.add(calls);
      if (complete) {
        return;
      }
      begun = epoch;
    }
    // Told of modules before they are looked at, so that none comes unseen. Threads that get here at the same
    // time all look: the tracer thread must not wait for one that waits for it.
    process.session().followModules(new Follower(process, () -> isAt(begun), this::modulesChanged));
    look();
    synchronized (this) {
      complete |= epoch == begun;
    }
  }

  private synchronized boolean isAt(int some) {
    return epoch == some;
  }

  /** Tells somebody nothing any more. The probes go with the last. */
  void tellNoMore(OpenCalls calls) {
    if (told.remove(calls)) {
      List<Probe> all = List.of();
      synchronized (this) {
        if (told.isEmpty()) {
          all = forgotten();
        }
      }
      process.unregister(all);
    }
  }

  /** The process has executed another program. */
  void forget() {
    synchronized (this) {
      told.clear();
      forgotten();
      blind = false;
    }
  }

  private List<Probe> forgotten() {
    complete = false;
    epoch++;
    List<Probe> all = List.copyOf(probes.values());
    probes.clear();
    return all;
  }

  /** Returns true if there is a place that cannot be probed: nobody knows what was left there. */
  boolean isBlind() {
    return blind;
  }

  private void look() {
    List<Probe> gone = probes.values().stream().filter(probe -> !probe.isActive()).toList();
    probes.values().removeAll(gone);
    process.unregister(gone);
    var fresh = new ArrayList<Probe>();
    for (NonlocalExit exit : process.nonlocalExits()) {
      if (!probes.containsKey(exit.address())) {
        if (probes.size() + fresh.size() >= MOST) {
          blind = true;
          break;
        }
        fresh.add(Probe.internal(process, ProbeRequest.at(exit.address(), hit -> leaving(hit, exit))));
      }
    }
    blind |= process.activatePossible(fresh) < fresh.size();
    for (Probe probe : fresh) {
      Probe raced = probe.isActive() ? probes.put(probe.address(), probe) : null;
      if (raced != null) {
        raced.unregister();
      }
    }
  }

  /** Modules have come or gone. On the tracer thread. */
  private void modulesChanged() {
    try {
      look();
    } catch (ProbeException refused) {
      // The session ends, and the observation of all calls with it.
    }
  }

  /** A thread is about to get the stack pointer of a function that it goes back to, past others. */
  private void leaving(ProbeHit hit, NonlocalExit exit) {
    Registers registers = hit.registers();
    if (registers.rip() != hit.probe().address()) {
      return;
    }
    long from = registers.get(UserRegister.general(exit.from().index()));
    long to = exit.loaded() ? hit.readWord(hit.truncated(from + exit.displacement())) : hit.truncated(from);
    long top = to + exit.popped();
    // What keeps its stack pointer elsewhere returns like this; so does the unwinder, but to no return
    // address that is awaited, since landing pads are none.
    long slot = exit.popped() == 0 ? 0 : top - hit.wordBytes();
    for (OpenCalls calls : told) {
      OpenCalls.Call returning = slot == 0 ? null : calls.at(slot);
      calls.leave(hit.threadId(), registers.rsp(), top,
          returning != null && hit.readWord(slot) == returning.returnAddress ? slot : 0);
    }
  }
}

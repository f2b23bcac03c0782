package io.xolotl.xol;

import io.xolotl.ptrace.ProcessStatus;
import io.xolotl.ptrace.PtraceException;
import io.xolotl.ptrace.Registers;
import io.xolotl.ptrace.Signals;
import io.xolotl.ptrace.ThreadGoneException;
import io.xolotl.ptrace.TracedProcess;
import io.xolotl.ptrace.TracedThread;
import io.xolotl.ptrace.WaitStatus;
import io.xolotl.xol.WaitingProbes.Absent;
import io.xolotl.xol.code.CodeArea;
import io.xolotl.xol.code.Lease;
import io.xolotl.xol.code.TracerThread;
import io.xolotl.xol.displacement.Copy;
import io.xolotl.xol.elf.Boundary;
import io.xolotl.xol.site.Place;
import io.xolotl.xol.site.SiteException;
import io.xolotl.xol.site.Sites;
import io.xolotl.xol.tracee.TrapAction;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Who comes from the process and who shares its memory: threads, children of fork and vfork, siblings; and
 * what becomes of all of them when it executes a program, or ends. Tracer thread only.
 *
 * <p>The races that are answered here are in {@code docs/races.md}.
 */
@TracerThread
final class Lineage {

  private static final System.Logger LOGGER = System.getLogger(ProbedProcess.class.getName());

  private final Session session;
  private final TracedProcess process;
  private final CodeArea area;
  private final Sites sites;
  private final ProbeTable table;
  private final WaitingProbes waiting;
  private final TrapAction trapAction;
  private final Hits hits;
  private final Handlers handlers;

  /**
   * Other processes that run in the same memory, until they execute another program or exit: children of
   * vfork, but also siblings, and whoever has created the process so.
   */
  private final Set<TracedProcess> borrowers;

  /** Forked children that could not be cleaned, each with its thread, which is kept stopped. */
  private final Map<TracedProcess, TracedThread> uncleaned = new LinkedHashMap<>();

  Lineage(Session session, TracedProcess process, Set<TracedProcess> borrowers, CodeArea area, Sites sites,
      ProbeTable table, WaitingProbes waiting, TrapAction trapAction, Hits hits, Handlers handlers) {
    this.session = session;
    this.process = process;
    this.borrowers = borrowers;
    this.area = area;
    this.sites = sites;
    this.table = table;
    this.waiting = waiting;
    this.trapAction = trapAction;
    this.hits = hits;
    this.handlers = handlers;
  }

  private Closing closing() {
    return session.closing();
  }

  /** Threads and processes that the process was just creating, and processes that run in its memory. */
  void completeAttach() {
    try {
      process.completeAttach(this::interrupted);
      process.attachBorrowers(borrowers::add, this::interrupted);
      borrowers.removeIf(borrower -> borrower.threads().isEmpty());
    } catch (RuntimeException e) {
      closing().giveUp(e);
      throw e;
    }
  }

  /** Whoever has come to run in the process's memory without an event, before anything is written there. */
  void attachNewcomers() {
    process.attachNewcomers(borrowers::add, this::interrupted);
    borrowers.removeIf(borrower -> borrower.threads().isEmpty());
  }

  /** Ids of all threads that may hit. */
  Set<Integer> threadIds() {
    return Stream.concat(Stream.of(process), borrowers.stream())
        .flatMap(each -> each.threads().stream()).map(TracedThread::tid).collect(Collectors.toSet());
  }

  private void interrupted(TracedThread thread) {
    hits.of(thread).tracee().interrupted(true);
  }

  // Creation.

  void threadStarted(TracedThread thread) {
    bringOutOfCopy(thread);
    if (closing().isDeparting()) {
      // It is let go with the others.
      return;
    }
    if (thread.stop() instanceof WaitStatus.GroupStop) {
      thread.listen();
    } else {
      thread.cont(0);
    }
  }

  /** The clone system call was itself displaced: its child starts behind the copy. */
  private void bringOutOfCopy(TracedThread thread) {
    if (!area.isEmpty()) {
      var registers = new Registers();
      thread.readRegisters(registers);
      Lease slot = area.owner(registers.rip());
      if (slot != null && slot.attachment() instanceof Copy copy) {
        copy.bringOut(thread, registers);
      }
    }
  }

  void processCreated(TracedProcess child, TracedThread thread, boolean sharesMemory) {
    bringOutOfCopy(thread);
    boolean borrows = sharesMemory && !closing().isOver();
    if (borrows) {
      borrowers.add(child);
    } else if (!sharesMemory && !tryToClean(child, thread)) {
      return;
    }
    session.notifyUsers(user -> user.options().processListener().created(user, child.pid()));
    if (!borrows) {
      follow(child, thread, true);
    } else if (!closing().isDeparting() && thread.stop() != null) {
      // When the session departs it waits, so that somebody can unmap the slots: its creator cannot be
      // stopped.
      thread.handleStop();
    }
  }

  /**
   * fork(2): the child has copies of the breakpoints and of the slots. What fails once is tried again; a
   * child that cannot be cleaned is kept stopped.
   */
  private boolean tryToClean(TracedProcess child, TracedThread thread) {
    try {
      try {
        sites.clean(child, thread);
      } catch (ThreadGoneException e) {
        // Killed before it ran.
        throw e;
      } catch (SiteException | PtraceException e) {
        sites.clean(child, thread);
      }
      return true;
    } catch (ThreadGoneException e) {
      throw e;
    } catch (SiteException | PtraceException e) {
      uncleaned.put(child, thread);
      LOGGER.log(System.Logger.Level.ERROR, child + ", a child of " + process
          + ", is kept stopped, because it would die of the breakpoints it has inherited: " + e.getMessage());
      return false;
    }
  }

  /**
   * Makes a session with a child for the users who want to follow it, or lets it go.
   *
   * @param thread the child's only one, stopped before its first instruction, or inside the execve that gave
   *     it memory of its own
   * @param withProbes whether it gets its parent's probes, at the same addresses
   */
  private void follow(TracedProcess child, TracedThread thread, boolean withProbes) {
    List<ProbedProcess> followers = session.followers();
    Session own = followers.isEmpty() ? null : session.ofChild(child);
    if (own == null) {
      session.statistics().childNotProbed();
      thread.detach(0);
      return;
    }
    if (!withProbes && followers.stream().noneMatch(ProbedProcess::followsExec)) {
      session.statistics().childNotProbed();
    }
    thread.finishSystemCall();
    try {
      // All of them first: the last user that leaves ends the session, and a listener may close its own.
      Map<ProbedProcess, ProbedProcess> children = new LinkedHashMap<>();
      followers.forEach(parent -> children.put(parent, own.newUser(parent.options())));
      children.forEach((parent, user) -> {
        if (withProbes) {
          copyProbes(parent.registrations(), user);
        } else if (user.followsExec()) {
          user.registerAgain(parent.registrations());
        }
      });
      children.forEach((parent, user) -> handlers.notified(session,
          () -> user.options().processListener().followed(parent, user)));
    } finally {
      resumeIfStopped(thread);
    }
  }

  /** A listener may have closed the session, and so have let the thread go. */
  private static void resumeIfStopped(TracedThread thread) {
    if (thread.stop() != null) {
      thread.handleStop();
    }
  }

  private void copyProbes(List<Probe> originals, ProbedProcess user) {
    var copies = new ArrayList<Probe>();
    var placed = new LinkedHashMap<Probe, Place>();
    var absent = new ArrayList<Absent>();
    for (Probe original : originals) {
      original.copyFor(user).ifPresent(copy -> {
        copies.add(copy);
        if (original.isActive()) {
          // What was checked for the parent holds for the child.
          placed.put(copy,
              copy.request().trustingBoundary().place(original.address(), Boundary.UNPROVEN));
        } else {
          waiting.of(original, copy).ifPresent(absent::add);
        }
      });
    }
    Session own = user.session();
    // Told when all is done: a listener may close the session.
    Map<Probe, ProbeException> refused = new LinkedHashMap<>();
    try {
      own.register(user, copies, placed, absent, refused::put);
      refused.forEach(own::failed);
    } catch (ProbeException | PtraceException e) {
      ProbeException refusal = e instanceof PtraceException p ? ProbeException.of(p) : (ProbeException) e;
      placed.keySet().forEach(probe -> own.failed(probe, refusal));
      absent.forEach(each -> own.failed(each.probe(), refusal));
    }
  }

  // Execution of a program, and the end.

  void executed(TracedThread thread, List<TracedThread> former) {
    // Also of those whose handlers run nothing more is reported.
    former.forEach(hits::forget);
    if (thread.process() != process) {
      // A borrower has its own memory now, and nothing of ours is in it.
      borrowers.remove(thread.process());
      if (isDescendant(thread.process())) {
        follow(thread.process(), thread, false);
      } else {
        thread.detach(0);
      }
      return;
    }
    Map<ProbedProcess, List<Probe>> formerProbes = session.registrationsToRepeat();
    letGoOfBorrowers();
    waiting.giveUp();
    table.forgetAll();
    trapAction.forget();
    session.forgetRegistrations();
    thread.finishSystemCall();
    if (process.wasCreated() && formerProbes.isEmpty()) {
      session.statistics().childNotProbed();
    }
    formerProbes.forEach(ProbedProcess::registerAgain);
    session.notifyUsers(user -> user.options().processListener().executed(user));
    resumeIfStopped(thread);
  }

  /** Siblings, and whoever has created the process, share its memory but are none that it has created. */
  private boolean isDescendant(TracedProcess borrower) {
    if (borrower.wasCreated()) {
      return true;
    }
    ProcessStatus status = ProcessStatus.of(borrower.pid());
    return status != null && status.parentPid() == process.pid();
  }

  /**
   * The process executes a program, and leaves them alone in its former memory: nobody probes them any more.
   */
  private void letGoOfBorrowers() {
    restoreForBorrowers();
    // Nobody waits for their handlers.
    hits.abandonAllBut(process);
    try {
      while (!borrowers.isEmpty()) {
        List<Departure> departures = takeBorrowers().stream().map(closing()::departure).toList();
        departures.forEach(Departure::stopAll);
        closing().unmapSlots(departures);
        departures.forEach(Departure::detachAll);
      }
    } catch (PtraceException e) {
      // The process itself goes on all the same.
      LOGGER.log(System.Logger.Level.ERROR,
          "a process that shared the memory of process " + process.pid() + " could not be detached", e);
    }
  }

  /** The memory that the process leaves behind lives on if others run in it. */
  private void restoreForBorrowers() {
    if (!borrowers.isEmpty()) {
      sites.restoreIn(borrowers);
    }
  }

  /** Those who run in the process's memory, who are somebody else's from now on. */
  List<TracedProcess> takeBorrowers() {
    List<TracedProcess> taken = List.copyOf(borrowers);
    borrowers.clear();
    return taken;
  }

  /** The last thread of a process has ended. */
  void processEnded(TracedProcess ended, WaitStatus.Ended status) {
    if (ended != process) {
      borrowers.remove(ended);
      uncleaned.remove(ended);
      session.hitFinished();
      return;
    }
    restoreForBorrowers();
    session.processEnded(switch (status) {
      case WaitStatus.Exited(int code) -> new ProcessEnd.Exited(code);
      case WaitStatus.Killed(int signal, boolean _) -> new ProcessEnd.Killed(signal);
    });
  }

  /**
   * Lets children go that could not be cleaned before; one that still cannot be is left stopped by SIGSTOP.
   *
   * @return the first that could not be undone, or null
   */
  @Nullable
  RuntimeException letGoOfUncleaned() {
    RuntimeException first = null;
    for (var each : uncleaned.entrySet()) {
      TracedThread thread = each.getValue();
      try {
        try {
          sites.clean(each.getKey(), thread);
        } catch (SiteException | PtraceException e) {
          thread.send(Signals.SIGSTOP);
          first = first != null
              ? first
              : new ProbeException(ProbeException.Reason.BREAKPOINT_LEFT, each.getKey() + ", a child of "
                  + process + ", is left stopped (SIGSTOP), because it would die of the breakpoints"
                  + " it has inherited: " + e.getMessage());
        }
        thread.detach(0);
      } catch (ThreadGoneException e) {
        // Killed meanwhile.
        continue;
      } catch (PtraceException e) {
        first = first != null ? first : e;
      }
    }
    uncleaned.clear();
    return first;
  }
}

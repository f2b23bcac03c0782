package io.xolotl.xol;

import io.xolotl.ptrace.PtraceException;
import io.xolotl.ptrace.TracedThread;
import io.xolotl.xol.code.CodeArea;
import io.xolotl.xol.code.ErrandException;
import io.xolotl.xol.code.TracerThread;
import io.xolotl.xol.code.TrapTable;
import io.xolotl.xol.tracee.TrapAction;
import java.util.function.ToLongFunction;
import org.jspecify.annotations.Nullable;

/**
 * Sees to it that the process survives the death of its tracer: before the first breakpoint is written it has
 * a handler of ours for SIGTRAP, and before any other its table has room for it. What cannot have that is
 * probed all the same, and says so.
 *
 * <p>Tracer thread only.
 */
@TracerThread
final class CrashSafety {

  /** Sites that are displaced anew, those that guard others, and blocks of memory. */
  private static final int SPARE = 256;

  private final TrapAction trapAction;
  private final TrapTable traps;
  private final CodeArea.InSomeThread errands;
  private boolean decided;
  /** Calls of the C library by which the program changes its action are watched. */
  private boolean watched;
  /** Why a breakpoint may kill when nobody traces the process; null if none does. */
  private @Nullable String risk;

  CrashSafety(TrapAction trapAction, TrapTable traps, CodeArea.InSomeThread errands) {
    this.trapAction = trapAction;
    this.traps = traps;
    this.errands = errands;
  }

  /** Before breakpoints are written at so many places. */
  void prepare(int places) {
    if (!decided) {
      decided = true;
      risk = attempt(trapAction::install);
    }
    // Two addresses a site, and a block for some thousands.
    int entries = 2 * places + SPARE;
    if (!traps.hasRoomFor(entries)) {
      String failure = attempt(thread -> {
        trapAction.makeRoom(thread, entries);
        return null;
      });
      risk = risk == null ? failure : risk;
    }
  }

  /**
   * Returns true if the program has a handler of its own, which it may ask for or replace. Others are not
   * watched: a breakpoint in a function that children of vfork call with SIGTRAP blocked would kill these if
   * nobody traced them.
   */
  boolean wantsWatch() {
    return trapAction.isInFrontOfHandler() && !watched;
  }

  /** The calls are watched from now on. */
  void watched() {
    watched = true;
  }

  private interface Attempt {
    @Nullable
    String in(TracedThread thread);
  }

  private @Nullable String attempt(Attempt attempt) {
    var answer = new ToLongFunction<TracedThread>() {
      private @Nullable String text;

      @Override
      public long applyAsLong(TracedThread thread) {
        text = attempt.in(thread);
        return 0;
      }
    };
    try {
      errands.run(answer);
      return answer.text;
    } catch (ErrandException e) {
      return e.getMessage();
    } catch (PtraceException e) {
      if (e.isBeyondReach()) {
        throw e;
      }
      return e.getMessage();
    }
  }

  @Nullable
  String risk() {
    return risk;
  }

  /** The process executes another program. */
  void forget() {
    decided = false;
    watched = false;
    risk = null;
    trapAction.forget();
  }
}

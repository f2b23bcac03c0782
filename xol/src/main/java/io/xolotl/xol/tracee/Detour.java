package io.xolotl.xol.tracee;

import io.xolotl.ptrace.ProcessMemory;
import io.xolotl.xol.code.TracerThread;

/**
 * Where a thread is while it is away from the program's code: in a copy. The program must never see that, so
 * whoever stops the thread there asks its detour to bring it out, as if it had executed the original. Tracer
 * thread only.
 *
 * <p>{@link #trapped} (if done), {@link #faulted} and {@link #leave} end with {@link Tracee#release}, when
 * the registers are written: where one fails the thread is in its copy still.
 */
@TracerThread
public interface Detour {

  /** How far a displaced instruction has got. */
  enum Progress {
    /** It is executed. The thread is stopped out of its copy, with its registers written. */
    DONE,
    /** The thread was resumed in its copy, and is not through. */
    IN_COPY
  }

  /** A trap that is not the program's has stopped the thread in its copy. */
  Progress trapped(Tracee tracee);

  /**
   * The copy has raised a signal: brings the thread out, as if the original had raised it. It is stopped
   * then, with its registers and the signal's information written.
   */
  void faulted(Tracee tracee, int signal);

  /**
   * Brings a stopped thread out of its copy wherever it is: before the copy it will execute the original,
   * behind it the copy counts. Its registers have been read, and are written.
   */
  void leave(Tracee tracee);

  /** Resumes the thread in its copy. */
  void resume(Tracee tracee, int signal);

  /**
   * A thread has stopped, and not for a breakpoint: it may have left the copy by itself. Where that is
   * possible its registers are read, and written if it is done but for the way back.
   *
   * @return true if it is out
   */
  boolean leaveIfThrough(Tracee tracee);

  /** Returns true if nobody is told when the thread leaves: it may be out by now, until a stop shows it. */
  boolean endsUnseen();

  /** Returns true if the thread executes the copy under the trap flag. */
  boolean isStepped();

  /** The detour that stops behind the copy, where a signal that has arrived in it can be delivered. */
  Detour whenSignalled();

  /** Returns true if the thread, whose registers are read for it, has a system call still to make here. */
  boolean isBeforeSystemCall(Tracee tracee);

  /** Returns true if the copy is a system call. */
  boolean isSystemCall();

  /**
   * Lets the thread leave by itself, when nobody traces it any more and what it waits for is over: the copy
   * goes on to the program's next instruction, and stays mapped.
   *
   * @param memory the thread's own: a borrower keeps the memory that its creator leaves by exec or ends with
   */
  void leaveBehind(ProcessMemory memory);
}

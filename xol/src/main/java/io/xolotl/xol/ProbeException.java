package io.xolotl.xol;

import io.xolotl.decoder.DecoderUnavailableException;
import io.xolotl.decoder.Refusal;
import io.xolotl.decoder.Technique;
import io.xolotl.ptrace.PtraceException;
import io.xolotl.xol.code.ErrandException;
import io.xolotl.xol.elf.SymbolException;
import io.xolotl.xol.site.SiteException;
import java.util.Optional;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/**
 * A process could not be attached to or probed as asked; it is unharmed. The message is one sentence for
 * people that says what to do; the rest is for programs.
 */
public final class ProbeException extends RuntimeException {

  private static final long serialVersionUID = 1L;

  /** What a program may branch on. */
  public enum Reason {
    /** The JVM was started without {@code --enable-native-access} for a module that needs it. */
    NATIVE_ACCESS_DENIED,
    /** The decoder's native library cannot be used. */
    DECODER_UNAVAILABLE,
    /** There is no process with this id. */
    NO_SUCH_PROCESS,
    /** The kernel does not let this user trace the process. */
    NOT_PERMITTED,
    /** The process is a kernel thread. */
    KERNEL_THREAD,
    /** The process has ended; only its exit status is left. */
    ZOMBIE,
    /** Another tracer holds the process. */
    ALREADY_TRACED,
    /** The process is this JVM. */
    OWN_PROCESS,
    /** The process is a child of this JVM that this library did not start. */
    CHILD_OF_THIS_JVM,
    /**
     * Another process runs in the same memory (clone(2) with CLONE_VM), or may do so, and cannot be traced:
     * it would die of the first breakpoint. The message names it.
     */
    ADDRESS_SPACE_SHARED,
    /** The program could not be started. */
    LAUNCH_FAILED,
    /** The process runs code that this library does not probe, for instance of the x32 ABI. */
    UNSUPPORTED_PROCESS,
    /** No mapped file has that name. */
    MODULE_NOT_FOUND,
    /** Several mapped files have that name. */
    MODULE_AMBIGUOUS,
    /** The module has no such function. */
    SYMBOL_NOT_FOUND,
    /** The module has several functions of that name. */
    SYMBOL_AMBIGUOUS,
    /** The symbol is no function. */
    NOT_A_FUNCTION,
    /** The process has not chosen an implementation of this IFUNC yet. */
    IFUNC_UNRESOLVED,
    /** A mapped file cannot be read, or is no ELF file that makes sense. */
    ELF_UNREADABLE,
    /** Nothing is mapped at the address. */
    ADDRESS_NOT_MAPPED,
    /** The memory at the address is not executable. */
    NOT_EXECUTABLE,
    /** The memory is shared with other processes, which a breakpoint there would stop too. */
    SHARED_MEMORY,
    /** The address is in the middle of an instruction, which a breakpoint would destroy. */
    NOT_AN_INSTRUCTION_BOUNDARY,
    /**
     * Nothing proves that an instruction starts at the address: no function does, and no way along the code
     * of its module's file leads there from one.
     */
    BOUNDARY_UNVERIFIED,
    /** There is a breakpoint instruction at the address that is not ours. */
    BREAKPOINT_EXISTS,
    /** The instruction cannot be displaced; {@link ProbeException#refusal()} says why. */
    INSTRUCTION_REFUSED,
    /**
     * A thread executes the bytes there as code of another kind, 32-bit or 64-bit, than that of the process's
     * program.
     */
    OTHER_CODE,
    /** The program has changed the probed code into something that cannot be probed. */
    CODE_CHANGED,
    /**
     * The instruction is in a restartable sequence (rseq(2)), and the kernel would not notice that a thread
     * which executes it elsewhere is in the middle of one. What is in front of the sequence, behind it and in
     * its abort handler may be probed.
     */
    RESTARTABLE_SEQUENCE,
    /**
     * The instruction is one of those that return from signal handlers, which debuggers and unwinders know by
     * their bytes. The handler itself may be probed.
     */
    SIGNAL_TRAMPOLINE,
    /** The technique that was asked for cannot execute this instruction. */
    TECHNIQUE_NOT_APPLICABLE,
    /** There is no room for the displaced instruction within reach. */
    NO_XOL_SPACE,
    /** The process has ended or executed another program meanwhile. */
    PROCESS_GONE,
    /**
     * The process is under seccomp, and a system call that the probe needs to be made in it could kill it;
     * probes on instructions that are {@linkplain Technique#EMULATED emulated} need none.
     */
    SECCOMP,
    /** The process has no thread of an id that a probe is limited to. */
    NO_SUCH_THREAD,
    /** The handler or the condition has failed as often as the request allows; the probe is unregistered. */
    TOO_MANY_ERRORS,
    /** Nothing shows where the C library that a function belongs to has its {@code errno}. */
    ERRNO_NOT_FOUND,
    /** The session has been closed. */
    CLOSED,
    /** A breakpoint could not be removed: the process dies if a thread hits it. */
    BREAKPOINT_LEFT,
    /** The kernel refused an operation for a reason this library does not know. */
    SYSTEM_ERROR
  }

  /** What kept it from being done. */
  private final Reason reason;
  /** The kernel's errno, or 0. */
  private final int errno;
  /** What it is about, or null. */
  private final @Nullable Long address;
  /** Why the instruction cannot be displaced, or null. */
  private final @Nullable Refusal refusal;

  private ProbeException(Reason reason, int errno, @Nullable Long address, @Nullable Refusal refusal,
      String message,
      @Nullable Throwable cause) {
    super(message, cause);
    this.reason = reason;
    this.errno = errno;
    this.address = address;
    this.refusal = refusal;
  }

  ProbeException(Reason reason, String message) {
    this(reason, 0, null, null, message, null);
  }

  ProbeException(Reason reason, long address, String message) {
    this(reason, 0, address, null, message, null);
  }

  static ProbeException gone(int pid) {
    return new ProbeException(Reason.PROCESS_GONE, "process " + pid + " has ended");
  }

  static ProbeException of(PtraceException e) {
    Reason reason = switch (e.reason()) {
      case NATIVE_ACCESS_DENIED -> Reason.NATIVE_ACCESS_DENIED;
      case NO_SUCH_PROCESS -> Reason.NO_SUCH_PROCESS;
      case NOT_PERMITTED -> Reason.NOT_PERMITTED;
      case KERNEL_THREAD -> Reason.KERNEL_THREAD;
      case ZOMBIE -> Reason.ZOMBIE;
      case ALREADY_TRACED -> Reason.ALREADY_TRACED;
      case OWN_PROCESS -> Reason.OWN_PROCESS;
      case CHILD_OF_THIS_JVM -> Reason.CHILD_OF_THIS_JVM;
      case ADDRESS_SPACE_SHARED -> Reason.ADDRESS_SPACE_SHARED;
      case LAUNCH_FAILED -> Reason.LAUNCH_FAILED;
      case THREAD_GONE -> Reason.PROCESS_GONE;
      case MEMORY_INACCESSIBLE -> Reason.ADDRESS_NOT_MAPPED;
      case REMOTE_CALL_FAILED, NOT_STOPPING, SYSTEM_ERROR -> Reason.SYSTEM_ERROR;
      case SECCOMP -> Reason.SECCOMP;
      case CLOSED -> Reason.CLOSED;
    };
    String message = reason == Reason.SECCOMP
        ? e.getMessage()
            + "; probes on instructions that are emulated need none, and others can be registered "
            + "before the process enters its sandbox"
        : String.valueOf(e.getMessage());
    return new ProbeException(reason, e.errno(), null, null, message, e);
  }

  /** No thread of a process could do what a probe needs to be done in one. */
  static ProbeException of(ErrandException e, int pid) {
    return e.last().map(ProbeException::of).orElseGet(() -> gone(pid));
  }

  static ProbeException of(SiteException e) {
    Reason reason = switch (e.reason()) {
      case ADDRESS_NOT_MAPPED -> Reason.ADDRESS_NOT_MAPPED;
      case NOT_EXECUTABLE -> Reason.NOT_EXECUTABLE;
      case SHARED_MEMORY -> Reason.SHARED_MEMORY;
      case NOT_AN_INSTRUCTION_BOUNDARY -> Reason.NOT_AN_INSTRUCTION_BOUNDARY;
      case BOUNDARY_UNVERIFIED -> Reason.BOUNDARY_UNVERIFIED;
      case BREAKPOINT_EXISTS -> Reason.BREAKPOINT_EXISTS;
      case INSTRUCTION_REFUSED -> Reason.INSTRUCTION_REFUSED;
      case CODE_CHANGED -> Reason.CODE_CHANGED;
      case RESTARTABLE_SEQUENCE -> Reason.RESTARTABLE_SEQUENCE;
      case SIGNAL_TRAMPOLINE -> Reason.SIGNAL_TRAMPOLINE;
      case TECHNIQUE_NOT_APPLICABLE -> Reason.TECHNIQUE_NOT_APPLICABLE;
      case NO_XOL_SPACE -> Reason.NO_XOL_SPACE;
      case BREAKPOINT_LEFT -> Reason.BREAKPOINT_LEFT;
      case UNREADABLE -> Reason.SYSTEM_ERROR;
    };
    return new ProbeException(reason, 0, e.address(), e.refusal().orElse(null),
        String.valueOf(e.getMessage()), null);
  }

  static ProbeException of(SymbolException e) {
    Reason reason = switch (e.reason()) {
      case MODULE_NOT_FOUND -> Reason.MODULE_NOT_FOUND;
      case MODULE_AMBIGUOUS -> Reason.MODULE_AMBIGUOUS;
      case SYMBOL_NOT_FOUND -> Reason.SYMBOL_NOT_FOUND;
      case SYMBOL_AMBIGUOUS -> Reason.SYMBOL_AMBIGUOUS;
      case NOT_A_FUNCTION -> Reason.NOT_A_FUNCTION;
      case IFUNC_UNRESOLVED -> Reason.IFUNC_UNRESOLVED;
      case ELF_UNREADABLE, ELF_MALFORMED, ELF_UNSUPPORTED, INTERRUPTED -> Reason.ELF_UNREADABLE;
    };
    return new ProbeException(reason, 0, null, null, String.valueOf(e.getMessage()), e);
  }

  static ProbeException of(DecoderUnavailableException e) {
    Reason reason = switch (e.reason()) {
      case NATIVE_ACCESS_DENIED -> Reason.NATIVE_ACCESS_DENIED;
      case NO_SUCH_IMPLEMENTATION, LIBRARY_NOT_FOUND, NOT_LOADABLE, NOT_ZYDIS, WRONG_VERSION, WRONG_LAYOUT ->
        Reason.DECODER_UNAVAILABLE;
    };
    return new ProbeException(reason, 0, null, null, String.valueOf(e.getMessage()), e);
  }

  /** {@return what kept it from being done} */
  public Reason reason() {
    return reason;
  }

  /** {@return the kernel's errno, or 0 if no system call failed} */
  public int errno() {
    return errno;
  }

  /** {@return the address in the process that it is about, if it is about one} */
  public OptionalLong address() {
    return address == null ? OptionalLong.empty() : OptionalLong.of(address);
  }

  /** {@return why the instruction cannot be displaced, with {@link Reason#INSTRUCTION_REFUSED}} */
  public Optional<Refusal> refusal() {
    return Optional.ofNullable(refusal);
  }
}

package io.xolotl.ptrace;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.xolotl.ptrace.PtraceException.Reason;
import io.xolotl.ptrace.WaitStatus.Created;
import io.xolotl.ptrace.WaitStatus.Executed;
import io.xolotl.ptrace.WaitStatus.Exiting;
import io.xolotl.ptrace.WaitStatus.GroupStop;
import io.xolotl.ptrace.WaitStatus.Interrupted;
import io.xolotl.ptrace.WaitStatus.Other;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;

/**
 * Starts a program so that it is traced from before its first instruction.
 *
 * <p>A child cannot ask to be traced between fork and exec without code of ours in it, and a JVM cannot fork.
 * So a shell is spawned that stops itself; it is seized, and the execve of the program is made in it. That
 * gives the program exactly the arguments and the environment that were asked for, and the kernel's own
 * answer where it cannot be executed.
 *
 * <p>The child is spawned by the tracer thread, whose {@code waitpid} with __WNOTHREAD then sees it; the JDK,
 * which waits only for the children it knows, does not.
 */
final class Launcher {

  private static final String SHELL = "/bin/sh";
  private static final String SCRIPT = "kill -STOP $$";

  private static final long SYS_KILL = 62;
  private static final int SYS_MMAP = 9;
  private static final int SYS_EXECVE = 59;
  private static final int SYS_CLOSE_RANGE = 436;
  private static final int PROT_READ_WRITE = 3;
  private static final int MAP_PRIVATE_ANONYMOUS = 0x22;

  private static final short POSIX_SPAWN_SETSIGDEF = 4;
  private static final short POSIX_SPAWN_SETSIGMASK = 8;
  private static final int O_WRONLY_CREAT_TRUNC = 0x241;
  private static final int O_WRONLY_CREAT_APPEND = 0x441;

  // Larger than glibc's 80 and 336 bytes and musl's.
  private static final long FILE_ACTIONS_BYTES = 512;
  private static final long ATTRIBUTES_BYTES = 1024;
  private static final int SIGSET_BYTES = 128;

  /**
   * What the shell does not block, and no program is ended by while it is nobody's: that which resumes it
   * behind its stop, and those of a remote call.
   */
  private static final long UNBLOCKED = 1L << Signals.SIGCONT - 1 | 1L << Signals.SIGTRAP - 1
      | 1L << Signals.SIGSYS - 1;

  private final Tracer tracer;
  private final LaunchRequest request;

  /**
   * What came from outside before the program was there and could not be blocked. It is the program's, as
   * what is blocked is: the shell would never get to execute anything.
   */
  private final List<Integer> held = new ArrayList<>();

  private Launcher(Tracer tracer, LaunchRequest request) {
    this.tracer = tracer;
    this.request = request;
  }

  /** Tracer thread only. */
  static TracedProcess launch(Tracer tracer, LaunchRequest request,
      Function<TracedProcess, TraceHandler> handlers) {
    return new Launcher(tracer, request).launch(handlers);
  }

  private TracedProcess launch(Function<TracedProcess, TraceHandler> handlers) {
    Path program = find();
    int pid = spawn();
    Attachability.launched(pid, tracer);
    Reaper.watch(pid);
    try {
      awaitSelfStop(pid);
      TracedProcess process = TracedProcess.seizeChild(tracer, pid, handlers);
      TracedThread shell = process.threads().getFirst();
      resume(shell);
      execute(shell, program);
      return process;
    } catch (ThreadGoneException e) {
      kill(tracer, pid);
      throw failed("its process was killed before the program was executed");
    } catch (RuntimeException e) {
      kill(tracer, pid);
      throw e;
    }
  }

  private void awaitSelfStop(int pid) {
    Scratch s = tracer.scratch();
    int got;
    do {
      got = Libc.waitpid(s.state, pid, s.status, Libc.WUNTRACED | Libc.WALL | Libc.WNOTHREAD);
    } while (got < 0 && Libc.errno(s.state) == Libc.EINTR);
    WaitStatus status = WaitStatus.of(s.status.get(JAVA_INT, 0));
    if (got != pid || !(status instanceof WaitStatus.Signal(int signal) && signal == Signals.SIGSTOP)) {
      throw failed(SHELL + " did not start as expected (" + status + ")");
    }
  }

  /** Ends the group-stop: behind it the shell stops once more, to receive SIGCONT, which it does not get. */
  private void resume(TracedThread shell) {
    while (true) {
      switch (shell.awaitStop()) {
        case GroupStop _ -> {
          shell.listen();
          signal(tracer, shell.tid(), Signals.SIGCONT);
        }
        case WaitStatus.Signal(int signal) when signal == Signals.SIGCONT -> {
          return;
        }
        case WaitStatus.Signal(int signal) -> {
          held.add(signal);
          shell.cont(0);
        }
        case Interrupted _, Created _, Executed _, Exiting _, Other _ ->
          shell.cont(0);
      }
    }
  }

  /** Brings the shell, which is about to receive a signal, to the first instruction of the program. */
  private void execute(TracedThread shell, Path program) {
    // ENOSYS before Linux 5.9: then the program inherits what of this JVM has no close-on-exec flag.
    RemoteCall.systemCallOfChild(shell, SYS_CLOSE_RANGE, 3, 0xffff_ffffL, 0);
    var registers = new Registers();
    shell.readRegisters(registers);
    putArguments(shell, program, registers);
    long instruction = shell.process().systemCallSite().get();
    registers.rip(instruction);
    registers.rax(SYS_EXECVE);
    registers.set(UserRegister.ORIG_RAX, -1);
    shell.writeRegisters(registers);
    while (true) {
      shell.step(0);
      switch (shell.awaitStopOrExec()) {
        case Executed _ -> {
          TracedThread main = shell.process().executed();
          if (!shell.process().isAccessible()) {
            throw failed("this user may not read it, and therefore not trace it");
          }
          main.finishSystemCall();
          main.signalMask(0);
          held.forEach(signal -> signal(tracer, main.tid(), signal));
          return;
        }
        case WaitStatus.Signal(int trap) when trap == Signals.SIGTRAP -> {
          shell.readRegisters(registers);
          if (registers.rip() != instruction) {
            throw notExecuted((int) -registers.rax());
          }
        }
        case WaitStatus.Signal(int other) -> held.add(other);
        case GroupStop _, Interrupted _, Created _, Exiting _, Other _ -> {
          // Nothing that keeps it from going on.
        }
      }
    }
  }

  /**
   * Writes the arguments of execve(2) into new memory of the shell, which goes with it, and sets their
   * registers.
   */
  private void putArguments(TracedThread shell, Path program, Registers registers) {
    var strings = new ArrayList<String>();
    strings.add(program.toString());
    strings.addAll(request.command());
    request.environment().forEach((name, value) -> strings.add(name + "=" + value));
    List<byte[]> encoded = strings.stream().map(string -> (string + "\0").getBytes(StandardCharsets.UTF_8))
        .toList();
    int argc = request.command().size();
    // One zero behind either vector.
    int vectors = (strings.size() - 1 + 2) * 8;
    int size = vectors + encoded.stream().mapToInt(bytes -> bytes.length).sum();
    long base = RemoteCall.systemCallOfChild(shell, SYS_MMAP, 0, size, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS,
        -1, 0);
    if (base < 0 && base >= -4095) {
      throw notExecuted((int) -base);
    }
    ByteBuffer block = ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN).position(vectors);
    registers.argument(0, base + vectors);
    block.put(encoded.getFirst());
    for (int i = 1; i < encoded.size(); i++) {
      // The zero behind the arguments moves the environment by one.
      int index = i <= argc ? i - 1 : i;
      block.putLong(index * 8, base + block.position());
      block.put(encoded.get(i));
    }
    registers.argument(1, base);
    registers.argument(2, base + (argc + 1) * 8L);
    shell.process().memory().write(base, block.array());
  }

  private PtraceException notExecuted(int errno) {
    String why = switch (errno) {
      case Libc.ENOEXEC ->
        "it is neither a program for this machine nor a script, whose first line is #! and its "
            + "interpreter";
      case Libc.ENOENT ->
        "its interpreter, in the first line of a script or the header of a program, does not exist";
      case Libc.EACCES -> "it, or its interpreter, may not be executed";
      case Libc.E2BIG -> "its arguments and environment are too long";
      case Libc.ETXTBSY -> "the file is open for writing";
      default -> "execve failed";
    };
    return new PtraceException(Reason.LAUNCH_FAILED, errno,
        message(why + " (" + Errno.name(errno) + ")"));
  }

  /** Ends a child of the tracer thread and takes its exit status. */
  static void kill(Tracer tracer, int pid) {
    signal(tracer, pid, Signals.SIGKILL);
    Scratch s = tracer.scratch();
    try {
      while (tracer.await(pid) instanceof WaitStatus.Stopped) {
        // A stop from before. ESRCH: it has been killed in it.
        Libc.ptrace(s.state, Ptrace.CONT, pid, 0, 0);
      }
    } catch (ThreadGoneException e) {
      // Its exit status has been taken.
    }
    TracedProcess process = tracer.tracees().process(pid);
    if (process != null) {
      process.threads().forEach(process::forget);
    }
  }

  private static void signal(Tracer tracer, int pid, int signal) {
    Scratch s = tracer.scratch();
    if (Libc.syscall(s.state, SYS_KILL, pid, signal, 0, 0, 0) < 0 && Libc.errno(s.state) != Libc.ESRCH) {
      throw new PtraceException(Reason.SYSTEM_ERROR, Libc.errno(s.state),
          "kill of process " + pid + " failed with " + Errno.name(Libc.errno(s.state)));
    }
    // ESRCH says that it has ended already, which waitpid reports.
  }

  private String message(String why) {
    return "cannot start " + request.command().getFirst() + ": " + why;
  }

  private PtraceException failed(String why) {
    return new PtraceException(Reason.LAUNCH_FAILED, message(why));
  }

  /**
   * Finds the program as execvp(3) would, so that what is wrong with it can be said before anything is
   * started.
   */
  private Path find() {
    String name = request.command().getFirst();
    Path directory = request.directory().orElse(Path.of(""));
    if (request.directory().isPresent() && !Files.isDirectory(directory)) {
      throw failed("its working directory " + directory + " is no directory");
    }
    if (name.contains("/")) {
      Path file = directory.resolve(name).toAbsolutePath();
      if (!Files.exists(file)) {
        throw failed("there is no such file");
      }
      if (Files.isDirectory(file) || !Files.isExecutable(file)) {
        throw failed("it is no executable file");
      }
      return file;
    }
    for (String entry : request.environment().getOrDefault("PATH", "/bin:/usr/bin").split(":")) {
      Path file = directory.resolve(entry).resolve(name).toAbsolutePath();
      if (Files.isExecutable(file) && !Files.isDirectory(file)) {
        return file;
      }
    }
    throw failed("no directory of the PATH has an executable of that name");
  }

  private int spawn() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment actions = arena.allocate(FILE_ACTIONS_BYTES, 16);
      MemorySegment attributes = arena.allocate(ATTRIBUTES_BYTES, 16);
      check("posix_spawn_file_actions_init", Libc.posix_spawn_file_actions_init(actions));
      check("posix_spawnattr_init", Libc.posix_spawnattr_init(attributes));
      try {
        redirect(arena, actions);
        Path directory = request.directory().orElse(null);
        if (directory != null) {
          check("posix_spawn_file_actions_addchdir_np",
              Libc.posix_spawn_file_actions_addchdir_np(actions, arena.allocateFrom(directory.toString())));
        }
        // The JVM blocks SIGQUIT in its threads, and may ignore signals: the program must not start with
        // that. Until it starts, everything is blocked: a Ctrl-C would end the shell before it is traced, and
        // is kept for the program (a pending signal survives execve). But a pending stop from the terminal
        // goes with the SIGCONT that ends the shell's own (prepare_signal() in kernel/signal.c).
        check("posix_spawnattr_setflags", Libc.posix_spawnattr_setflags(attributes,
            (short) (POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF)));
        check("posix_spawnattr_setsigmask",
            Libc.posix_spawnattr_setsigmask(attributes, blocked(arena)));
        check("posix_spawnattr_setsigdefault",
            Libc.posix_spawnattr_setsigdefault(attributes,
                arena.allocate(SIGSET_BYTES, 8).fill((byte) 0xff)));
        MemorySegment pid = arena.allocate(JAVA_INT);
        check("posix_spawn of " + SHELL + " with its working directory and streams",
            Libc.posix_spawn(pid, arena.allocateFrom(SHELL), actions, attributes,
                vector(arena, List.of("sh", "-c", SCRIPT)), vector(arena, List.of())));
        return pid.get(JAVA_INT, 0);
      } finally {
        Libc.posix_spawn_file_actions_destroy(actions);
        Libc.posix_spawnattr_destroy(attributes);
      }
    }
  }

  private static MemorySegment blocked(Arena arena) {
    MemorySegment set = arena.allocate(SIGSET_BYTES, 8).fill((byte) 0xff);
    set.set(JAVA_LONG, 0, ~UNBLOCKED);
    return set;
  }

  /**
   * The actions are executed one after the other, and descriptors of this JVM are meant, not those that are
   * redirected already: so these are set aside first, behind all that are named.
   */
  private void redirect(Arena arena, MemorySegment actions) {
    List<LaunchRequest.Stream> streams = List.of(request.input(), request.output(), request.error());
    int aside = 3;
    for (LaunchRequest.Stream stream : streams) {
      if (stream instanceof LaunchRequest.Stream.Descriptor(int number)) {
        aside = Math.max(aside, number + 1);
      }
    }
    for (int i = 0; i < streams.size(); i++) {
      if (streams.get(i) instanceof LaunchRequest.Stream.Descriptor(int number)) {
        duplicate(actions, number, aside + i);
      }
    }
    for (int i = 0; i < streams.size(); i++) {
      switch (streams.get(i)) {
        case LaunchRequest.Stream.Inherited _ -> {
          // posix_spawn hands down what has no close-on-exec flag, and 0 to 2 have none.
        }
        case LaunchRequest.Stream.File(Path path, boolean append) -> open(arena, actions, i, path, append);
        case LaunchRequest.Stream.Descriptor _ -> {
          duplicate(actions, aside + i, i);
          check("posix_spawn_file_actions_addclose",
              Libc.posix_spawn_file_actions_addclose(actions, aside + i));
        }
      }
    }
  }

  private void duplicate(MemorySegment actions, int from, int to) {
    check("posix_spawn_file_actions_adddup2", Libc.posix_spawn_file_actions_adddup2(actions, from, to));
  }

  private void open(Arena arena, MemorySegment actions, int descriptor, Path path, boolean append) {
    Path file = path.toAbsolutePath();
    if (descriptor == 0 && !Files.isReadable(file)) {
      throw failed("its input " + file + " cannot be read");
    }
    int flags = descriptor == 0 ? 0 : append ? O_WRONLY_CREAT_APPEND : O_WRONLY_CREAT_TRUNC;
    check("posix_spawn_file_actions_addopen",
        Libc.posix_spawn_file_actions_addopen(actions, descriptor, arena.allocateFrom(file.toString()), flags,
            0666));
  }

  private void check(String call, int errno) {
    if (errno != 0) {
      throw new PtraceException(Reason.LAUNCH_FAILED, errno,
          message(call + " failed with " + Errno.name(errno)));
    }
  }

  private static MemorySegment vector(Arena arena, List<String> strings) {
    MemorySegment vector = arena.allocate(ADDRESS, strings.size() + 1L);
    for (int i = 0; i < strings.size(); i++) {
      vector.setAtIndex(ADDRESS, i, arena.allocateFrom(strings.get(i)));
    }
    return vector;
  }
}

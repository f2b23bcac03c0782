package io.xolotl.ptrace;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import io.xolotl.ptrace.PtraceException.Reason;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Starts a program so that it is traced from before its first instruction.
 *
 * <p>A child cannot ask to be traced between fork and exec without code of ours in it, and a JVM cannot fork. So a
 * shell is spawned that stops itself; it is seized, continued, and executes {@code env}, which executes the program
 * with exactly the environment that was asked for, whatever the shell did to its own. The second PTRACE_EVENT_EXEC
 * is the program's.
 *
 * <p>The child is spawned by the tracer thread, whose {@code waitpid} with __WNOTHREAD then sees it; the JDK, which
 * waits only for the children it knows, does not.
 */
final class Launcher {

  private static final String SCRIPT = "kill -STOP $$; exec \"$@\"";
  private static final int EXECS = 2;

  private static final long SYS_KILL = 62;
  private static final short POSIX_SPAWN_SETSIGMASK = 8;
  private static final int O_WRONLY_CREAT_TRUNC = 0x241;
  private static final int O_WRONLY_CREAT_APPEND = 0x441;

  // Larger than glibc's 80 and 336 bytes and musl's.
  private static final long FILE_ACTIONS_BYTES = 512;
  private static final long ATTRIBUTES_BYTES = 1024;
  private static final long SIGSET_BYTES = 128;

  private Launcher() {}

  /** Spawns the shell and waits until it has stopped itself. */
  static int spawnStopped(Tracer.Scratch s, LaunchRequest request) {
    Path program = find(request);
    var argv = new ArrayList<>(List.of("sh", "-c", SCRIPT, "sh", "/usr/bin/env", "-i"));
    request.environment().forEach((name, value) -> argv.add(name + "=" + value));
    argv.add(program.toString());
    argv.addAll(request.command().subList(1, request.command().size()));
    int pid = spawn(argv, request);
    Attachability.launched(pid);
    int got;
    do {
      got = Libc.waitpid(s.state, pid, s.status, Libc.WUNTRACED | Libc.WALL | Libc.WNOTHREAD);
    } while (got < 0 && Libc.errno(s.state) == Libc.EINTR);
    WaitStatus status = WaitStatus.of(s.status.get(JAVA_INT, 0));
    if (got != pid || !(status instanceof WaitStatus.Signal(int signal) && signal == Signals.SIGSTOP)) {
      Attachability.reaped(pid);
      throw failed(request, "/bin/sh did not start as expected (" + status + ")");
    }
    return pid;
  }

  /** Brings the seized shell to the first instruction of the program. */
  static void runToProgram(TracedThread shell, LaunchRequest request) {
    Tracer tracer = shell.process().tracer();
    int execs = 0;
    WaitStatus.Stopped stop = shell.awaitStopOrExec();
    while (true) {
      switch (stop) {
        case WaitStatus.GroupStop _ -> {
          shell.listen();
          signal(tracer, shell.tid(), Signals.SIGCONT);
        }
        case WaitStatus.Executed _ -> {
          if (++execs == EXECS) {
            TracedThread program = shell.process().executed();
            program.finishSystemCall();
            return;
          }
          shell.cont(0);
        }
        case WaitStatus.Signal(int signal) -> shell.cont(signal);
        case WaitStatus.Interrupted _,WaitStatus.Created _,WaitStatus.Exiting _,WaitStatus.Other _ ->
          shell.cont(0);
      }
      try {
        stop = shell.awaitStopOrExec();
      } catch (PtraceException e) {
        if (e.reason() == Reason.THREAD_GONE) {
          throw failed(request, "it cannot be executed; is it a program for this machine?");
        }
        throw e;
      }
    }
  }

  static void kill(Tracer tracer, int pid) {
    signal(tracer, pid, Signals.SIGKILL);
  }

  private static void signal(Tracer tracer, int pid, int signal) {
    // ESRCH says that it has ended already, which waitpid reports.
    Libc.syscall(tracer.scratch().state, SYS_KILL, pid, signal, 0, 0, 0);
  }

  private static PtraceException failed(LaunchRequest request, String why) {
    return new PtraceException(Reason.LAUNCH_FAILED,
        "cannot start " + request.command().getFirst() + ": " + why);
  }

  /** Finds the program as execvp(3) would, so that what is wrong with it can be said before anything is started. */
  private static Path find(LaunchRequest request) {
    String name = request.command().getFirst();
    Path directory = request.directory() == null ? Path.of("") : request.directory();
    if (request.directory() != null && !Files.isDirectory(directory)) {
      throw failed(request, "its working directory " + directory + " is no directory");
    }
    if (name.contains("/")) {
      Path file = directory.resolve(name).toAbsolutePath();
      if (!Files.exists(file)) {
        throw failed(request, "there is no such file");
      }
      if (Files.isDirectory(file) || !Files.isExecutable(file)) {
        throw failed(request, "it is no executable file");
      }
      return checked(request, file);
    }
    for (String entry : request.environment().getOrDefault("PATH", "/bin:/usr/bin").split(":")) {
      Path file = directory.resolve(entry).resolve(name).toAbsolutePath();
      if (Files.isExecutable(file) && !Files.isDirectory(file)) {
        return checked(request, file);
      }
    }
    throw failed(request, "no directory of the PATH has an executable of that name");
  }

  /** {@code env} takes everything with an equals sign before the program for a variable. */
  private static Path checked(LaunchRequest request, Path file) {
    if (file.toString().contains("=")) {
      throw failed(request, "its path contains an equals sign");
    }
    return file;
  }

  private static int spawn(List<String> argv, LaunchRequest request) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment actions = arena.allocate(FILE_ACTIONS_BYTES, 16);
      MemorySegment attributes = arena.allocate(ATTRIBUTES_BYTES, 16);
      check(request, "posix_spawn_file_actions_init", Libc.posix_spawn_file_actions_init(actions));
      check(request, "posix_spawnattr_init", Libc.posix_spawnattr_init(attributes));
      try {
        redirect(arena, request, actions, 0, request.input());
        redirect(arena, request, actions, 1, request.output());
        redirect(arena, request, actions, 2, request.error());
        Path directory = request.directory();
        if (directory != null) {
          check(request, "posix_spawn_file_actions_addchdir_np",
              Libc.posix_spawn_file_actions_addchdir_np(actions, arena.allocateFrom(directory.toString())));
        }
        // The JVM blocks SIGQUIT in its threads; the program must not start with that.
        check(request, "posix_spawnattr_setflags",
            Libc.posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK));
        check(request, "posix_spawnattr_setsigmask",
            Libc.posix_spawnattr_setsigmask(attributes, arena.allocate(SIGSET_BYTES, 8)));
        MemorySegment pid = arena.allocate(JAVA_INT);
        check(request, "posix_spawn of /bin/sh", Libc.posix_spawn(pid, arena.allocateFrom("/bin/sh"), actions,
            attributes, vector(arena, argv), vector(arena, List.of())));
        return pid.get(JAVA_INT, 0);
      } finally {
        Libc.posix_spawn_file_actions_destroy(actions);
        Libc.posix_spawnattr_destroy(attributes);
      }
    }
  }

  private static void redirect(Arena arena, LaunchRequest request, MemorySegment actions, int descriptor,
      LaunchRequest.Stream stream) {
    switch (stream) {
      case LaunchRequest.Stream.Inherited _ -> {
        // posix_spawn hands down what has no close-on-exec flag, and 0 to 2 have none.
      }
      case LaunchRequest.Stream.File(Path path, boolean append) -> {
        Path file = path.toAbsolutePath();
        if (descriptor == 0 && !Files.isReadable(file)) {
          throw failed(request, "its input " + file + " cannot be read");
        }
        int flags = descriptor == 0 ? 0 : append ? O_WRONLY_CREAT_APPEND : O_WRONLY_CREAT_TRUNC;
        check(request, "posix_spawn_file_actions_addopen",
            Libc.posix_spawn_file_actions_addopen(actions, descriptor,
                arena.allocateFrom(file.toString()), flags, 0666));
      }
      case LaunchRequest.Stream.Descriptor(int number) -> check(request, "posix_spawn_file_actions_adddup2",
          Libc.posix_spawn_file_actions_adddup2(actions, number, descriptor));
    }
  }

  private static void check(LaunchRequest request, String call, int errno) {
    if (errno != 0) {
      throw new PtraceException(Reason.LAUNCH_FAILED, errno,
          "cannot start " + request.command().getFirst() + ": " + call + " failed with " + Errno.name(errno));
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

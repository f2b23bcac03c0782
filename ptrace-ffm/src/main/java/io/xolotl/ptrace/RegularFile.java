package io.xolotl.ptrace;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.Closeable;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Deque;
import org.jspecify.annotations.Nullable;

/**
 * A regular file that somebody else has named, opened once: what is looked at and what is read are the same,
 * whatever its path leads to by then. Opening it waits for nobody, also where there is a pipe at the path,
 * and does not lead out of a given root directory.
 *
 * <p>Used by one thread at a time.
 */
public final class RegularFile implements Closeable {

  /** Absolute paths, links and {@code ..} stay below the directory (openat2(2)); so do magic links. */
  private static final long RESOLVE_IN_ROOT = 0x10;
  private static final int EAGAIN = 11;
  private static final int O_NONBLOCK = 0x800;
  private static final int O_DIRECTORY = 0x10000;
  private static final int O_NOFOLLOW = 0x20000;
  private static final int O_PATH = 0x200000;
  private static final int LOOKING = O_PATH | Libc.O_CLOEXEC;
  /** Not even for who has a lease on it (fcntl(2), F_SETLEASE), and gets none while it is open. */
  private static final int READING = Libc.O_RDONLY | Libc.O_CLOEXEC | O_NONBLOCK;
  private static final String OWN = "/proc/self/fd/";

  private static final int CLOSED = -1;
  /** Somebody may rename directories while the kernel resolves a path (openat2(2), EAGAIN). */
  private static final int MOST_TRIES = 100;
  /** As many as the kernel follows (MAXSYMLINKS). */
  private static final int MOST_LINKS = 40;

  private int descriptor;

  private RegularFile(int descriptor) {
    this.descriptor = descriptor;
  }

  /**
   * Opens a file.
   *
   * @param root a directory that is not left, as the root directory of a process in a container; null for
   *     none, where magic links such as {@code /proc/PID/exe} are followed
   * @param path an absolute path below the root
   * @return null if there is no regular file, or this user may not read it
   * @throws PtraceException if this module may not call native code
   */
  public static @Nullable RegularFile open(@Nullable Path root, String path) {
    String denial = NativeAccess.denial();
    if (denial != null) {
      throw new PtraceException(PtraceException.Reason.NATIVE_ACCESS_DENIED, denial);
    }
    if (path.indexOf('\0') >= 0) {
      // The kernel would read up to there.
      return null;
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Libc.callState());
      // Only looked at: opening a device or a pipe may do more than that, or wait.
      int found = root == null
          ? Libc.openQuietly(state, arena.allocateFrom(path), LOOKING)
          : lookBelow(arena, state, root, path);
      if (found < 0) {
        return null;
      }
      try {
        int descriptor = Files.isRegularFile(Path.of(OWN + found))
            ? Libc.openQuietly(state, arena.allocateFrom(OWN + found), READING)
            : CLOSED;
        return descriptor < 0 ? null : new RegularFile(descriptor);
      } finally {
        Libc.close(state, found);
      }
    }
  }

  private static int lookBelow(Arena arena, MemorySegment state, Path root, String path) {
    int directory = Libc.openQuietly(state, arena.allocateFrom(root.toString()), LOOKING | O_DIRECTORY);
    if (directory < 0) {
      return directory;
    }
    try {
      // struct open_how: flags, mode, resolve.
      MemorySegment how = arena.allocateFrom(JAVA_LONG, LOOKING, 0, RESOLVE_IN_ROOT);
      MemorySegment name = arena.allocateFrom(path);
      int found = (int) Libc.openat2(state, directory, name, how);
      int errno = Libc.errno(state);
      for (int i = 0; i < MOST_TRIES && found < 0 && errno == EAGAIN; i++) {
        found = (int) Libc.openat2(state, directory, name, how);
        errno = Libc.errno(state);
      }
      if (found >= 0 || errno != Libc.ENOSYS && errno != Libc.EPERM) {
        return found;
      }
      // Before Linux 5.6, and under the seccomp filters of old container engines.
      Path resolved = resolve(root, path);
      return resolved == null
          ? CLOSED
          : Libc.openQuietly(state, arena.allocateFrom(resolved.toString()), LOOKING | O_NOFOLLOW);
    } finally {
      Libc.close(state, directory);
    }
  }

  /**
   * Follows the links of a path as a process in that root would. Unlike openat2(2) it can be led out by who
   * exchanges directories meanwhile.
   *
   * @return null if it leads nowhere
   */
  static @Nullable Path resolve(Path root, String path) {
    Deque<String> left = new ArrayDeque<>();
    addParts(left, path);
    Path at = root;
    int links = 0;
    try {
      while (!left.isEmpty()) {
        String part = left.removeFirst();
        if (part.equals("..")) {
          Path above = at.getParent();
          at = at.equals(root) || above == null ? root : above;
          continue;
        }
        Path next = at.resolve(part);
        if (!Files.isSymbolicLink(next)) {
          at = next;
          continue;
        }
        if (++links > MOST_LINKS) {
          return null;
        }
        String target = Files.readSymbolicLink(next).toString();
        at = target.startsWith("/") ? root : at;
        addParts(left, target);
      }
      return at;
    } catch (IOException | InvalidPathException e) {
      return null;
    }
  }

  /** Puts the parts of a path in front. */
  private static void addParts(Deque<String> left, String path) {
    String[] parts = path.split("/");
    for (int i = parts.length - 1; i >= 0; i--) {
      if (!parts[i].isEmpty() && !parts[i].equals(".")) {
        left.addFirst(parts[i]);
      }
    }
  }

  /** {@return a path that leads to this very file until it is closed} */
  public Path path() {
    return Path.of(OWN + descriptor);
  }

  @Override
  public void close() {
    if (descriptor != CLOSED) {
      try (Arena arena = Arena.ofConfined()) {
        Libc.close(arena.allocate(Libc.callState()), descriptor);
      }
      descriptor = CLOSED;
    }
  }
}

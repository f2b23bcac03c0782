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
 * <p>Any thread may open one, and use and close it.
 */
public final class RegularFile implements Closeable {

  /** Absolute paths, links and {@code ..} stay below the directory (openat2(2)); so do magic links. */
  private static final long RESOLVE_IN_ROOT = 0x10;
  private static final int O_NONBLOCK = 0x800;
  private static final int O_DIRECTORY = 0x10000;
  private static final int O_NOFOLLOW = 0x20000;
  private static final int O_PATH = 0x200000;
  private static final int LOOKING = O_PATH | Libc.O_CLOEXEC;
  /** Not even for who has a lease on it (fcntl(2), F_SETLEASE), and gets none while it is open. */
  private static final int READING = Libc.O_RDONLY | Libc.O_CLOEXEC | O_NONBLOCK;
  private static final String OWN = "/proc/self/fd/";

  /** As many as the kernel follows (MAXSYMLINKS). */
  private static final int MOST_LINKS = 40;

  private final MemorySegment state;
  private final Arena arena;
  private final int descriptor;

  private RegularFile(Arena arena, MemorySegment state, int descriptor) {
    this.arena = arena;
    this.state = state;
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
    Arena arena = Arena.ofShared();
    RegularFile opened = null;
    try {
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
            : -1;
        opened = descriptor < 0 ? null : new RegularFile(arena, state, descriptor);
      } finally {
        Libc.close(state, found);
      }
      return opened;
    } finally {
      if (opened == null) {
        arena.close();
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
      int found = (int) Libc.openat2(state, directory, arena.allocateFrom(path), how);
      int errno = Libc.errno(state);
      if (found >= 0 || errno != Libc.ENOSYS && errno != Libc.EPERM) {
        return found;
      }
      // Before Linux 5.6, and under the seccomp filters of old container engines.
      Path resolved = resolve(root, path);
      return resolved == null
          ? -1
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

  /** A path that leads to this very file until it is closed. */
  public Path path() {
    return Path.of(OWN + descriptor);
  }

  @Override
  public void close() {
    Libc.close(state, descriptor);
    arena.close();
  }
}

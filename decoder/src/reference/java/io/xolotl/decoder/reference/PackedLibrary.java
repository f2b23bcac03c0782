package io.xolotl.decoder.reference;

import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.VarHandle;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;

/**
 * Loads a shared library that is in a jar, so that no other user can read, change or replace what is loaded:
 * a JVM of root would execute their code.
 *
 * <p>The first choice is a memfd, which no directory has a name for: nothing to find, nothing to clean up,
 * whatever ends the JVM. Where the system forbids that, it is a file in a new directory of mode 0700, which
 * has a name for the few milliseconds that it takes to write and load it.
 */
final class PackedLibrary {

  private static final long SYS_CLOSE = 3;
  private static final long SYS_FCNTL = 72;
  private static final long SYS_MEMFD_CREATE = 319;

  private static final long MFD_CLOEXEC = 1;
  private static final long MFD_ALLOW_SEALING = 2;
  private static final long MFD_EXEC = 0x10;
  private static final long F_ADD_SEALS = 1033;
  private static final long F_SEAL_SEAL = 1;
  private static final long F_SEAL_SHRINK = 2;
  private static final long F_SEAL_GROW = 4;
  private static final long F_SEAL_WRITE = 8;

  private static final int EACCES = 13;
  private static final int EINVAL = 22;

  /** Why the memfd, and then the file, could not be loaded. */
  static final class NotLoadedException extends Exception {
    private static final long serialVersionUID = 1;

    NotLoadedException(String message, Throwable cause) {
      super(message, cause);
    }
  }

  private PackedLibrary() {}

  /**
   * Loads it for the class loader of this class.
   *
   * @param library its bytes
   * @param name the name that {@code /proc/PID/maps} and debuggers show
   * @throws NotLoadedException if the system lets it be loaded in neither way; the message says why, as
   *     "neither from ... nor from ..."
   */
  static void load(byte[] library, String name) throws NotLoadedException {
    try {
      loadFromMemory(library, name);
    } catch (IOException | UnsatisfiedLinkError inMemory) {
      String directory = System.getProperty("java.io.tmpdir");
      try {
        loadFromFile(library, name);
      } catch (IOException | UnsatisfiedLinkError inFile) {
        inFile.addSuppressed(inMemory);
        throw new NotLoadedException("neither from memory (" + inMemory.getMessage() + ") nor from a file in "
            + directory + " (" + (inFile instanceof IOException ? inFile.toString() : linkerSays(inFile))
            + ")", inFile);
      }
    }
  }

  /**
   * Returns what dlerror(3) says behind the path, which the JVM puts before it once more and which is gone by
   * now.
   */
  private static String linkerSays(Throwable e) {
    String message = String.valueOf(e.getMessage());
    return message.substring(message.lastIndexOf(": ") < 0 ? 0 : message.lastIndexOf(": ") + 2);
  }

  private static void loadFromMemory(byte[] library, String name) throws IOException {
    long descriptor = memoryFile(name);
    boolean loaded = false;
    try {
      String path = "/proc/self/fd/" + descriptor;
      try (OutputStream content = new FileOutputStream(path)) {
        content.write(library);
      }
      // From here on nothing can change it, whoever opens it through /proc (mm/memfd.c, memfd_add_seals).
      // Without the seals it would still be as safe as the rest of this process's memory, so that they may
      // fail.
      Syscall.call(SYS_FCNTL, descriptor, F_ADD_SEALS,
          F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
      // The JVM resolves the link as far as it leads to files: to /proc/PID/fd/N, because "/memfd:NAME
      // (deleted)" is none, unless somebody makes one, who may write to the root directory and needs no such
      // detour.
      System.load(path);
      loaded = true;
    } finally {
      // Stays open if it is in use: the dynamic linker and the JVM know a library by its path, and in another
      // class loader a copy of this class would take the library that it finds under the same number for its
      // own.
      if (!loaded) {
        Syscall.call(SYS_CLOSE, descriptor, 0, 0);
      }
    }
  }

  private static long memoryFile(String name) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      long address = arena.allocateFrom(name).address();
      long result = Syscall.call(SYS_MEMFD_CREATE, address, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC, 0);
      if (result == -EINVAL) {
        // Linux before 6.3 does not know MFD_EXEC, and needs none. EACCES is an answer: vm.memfd_noexec=2
        // forbids it.
        result = Syscall.call(SYS_MEMFD_CREATE, address, MFD_CLOEXEC | MFD_ALLOW_SEALING, 0);
      }
      if (result < 0) {
        throw new IOException(
            result == -EACCES ? "vm.memfd_noexec forbids it" : "memfd_create: errno " + -result);
      }
      return result;
    }
  }

  private static void loadFromFile(byte[] library, String name) throws IOException {
    Path directory = privateDirectory();
    try {
      Path file = directory.resolve(name);
      try {
        write(file, library);
        System.load(file.toString());
      } finally {
        // Mapped, it lives on without a name.
        Files.deleteIfExists(file);
      }
    } finally {
      Files.delete(directory);
    }
  }

  /**
   * Makes a directory that only its owner can look into, from its first moment on: mkdir(2) sets the mode.
   */
  static Path privateDirectory() throws IOException {
    return Files.createTempDirectory("xolotl-",
        PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
  }

  static void write(Path file, byte[] content) throws IOException {
    // O_EXCL and the mode in one call: neither the umask nor a file that is there already can open it to
    // others.
    Files.createFile(file,
        PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
    Files.write(file, content);
  }

  /** syscall(2): one function for three that the C library may not have; linked with the first call. */
  private static final class Syscall {
    private static final VarHandle ERRNO = Linker.Option.captureStateLayout()
        .varHandle(MemoryLayout.PathElement.groupElement("errno"));
    private static final MethodHandle HANDLE = Linker.nativeLinker().downcallHandle(
        Linker.nativeLinker().defaultLookup().findOrThrow("syscall"),
        FunctionDescriptor.of(ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG,
            ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG),
        Linker.Option.captureCallState("errno"), Linker.Option.firstVariadicArg(1));

    private Syscall() {}

    /** Returns the result, or the negative errno as the kernel does. */
    static long call(long number, long first, long second, long third) {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment state = arena.allocate(Linker.Option.captureStateLayout());
        long result = (long) HANDLE.invokeExact(state, number, first, second, third);
        return result == -1 ? -(int) ERRNO.get(state, 0L) : result;
      } catch (Error | RuntimeException e) {
        throw e;
      } catch (Throwable e) {
        throw new AssertionError(e);
      }
    }
  }
}

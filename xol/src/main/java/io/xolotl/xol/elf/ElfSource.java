package io.xolotl.xol.elf;

import io.xolotl.ptrace.RegularFile;
import io.xolotl.xol.elf.SymbolException.Reason;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** Where the bytes of an ELF file are. */
sealed interface ElfSource {
  /** What messages call it. */
  String name();

  /** Opens it; the caller closes. */
  ElfReader open();

  /** Tells two files, or two contents of one file, apart. */
  record Identity(long device, long inode, long size, FileTime modified) {

    /** The identity of what is at a path now, or {@code null} if that is no regular file. */
    static @Nullable Identity of(Path path) {
      try {
        Map<String, Object> attributes = Files.readAttributes(path,
            "unix:isRegularFile,dev,ino,size,lastModifiedTime");
        return attribute(attributes, "isRegularFile", Boolean.class)
            ? new Identity(attribute(attributes, "dev", Long.class), attribute(attributes, "ino", Long.class),
                attribute(attributes, "size", Long.class),
                attribute(attributes, "lastModifiedTime", FileTime.class))
            : null;
      } catch (IOException e) {
        return null;
      }
    }

    private static <T> T attribute(Map<String, Object> attributes, String name, Class<T> type) {
      return Objects.requireNonNull(type.cast(attributes.get(name)), name);
    }
  }

  /**
   * A file as a process sees it. Between two looks others may put anything at its path, so what is opened is
   * looked at, and not the path.
   *
   * @param root the directory that no link leads out of, as {@code /proc/PID/root}; null for none
   * @param path absolute, below the root
   */
  record OnDisk(String name, @Nullable Path root, String path, Identity identity) implements ElfSource {

    /** The file at a path, or {@code null} if there is no readable regular file. */
    static @Nullable OnDisk at(String name, @Nullable Path root, String path) {
      try (RegularFile file = RegularFile.open(root, path)) {
        Identity identity = file == null ? null : Identity.of(file.path());
        return identity == null ? null : new OnDisk(name, root, path, identity);
      }
    }

    /** Returns true if the path leads to the same file still, with the same content. */
    boolean isCurrent() {
      return root == null
          ? identity.equals(Identity.of(Path.of(path)))
          : equals(at(name, root, path));
    }

    @Override
    public ElfReader open() {
      try (RegularFile file = RegularFile.open(root, path)) {
        if (file == null || !identity.equals(Identity.of(file.path()))) {
          throw new SymbolException(Reason.ELF_UNREADABLE,
              name + " changed or its process ended since its headers were read");
        }
        return ElfReader.open(file.path());
      } catch (IOException e) {
        throw new SymbolException(Reason.ELF_UNREADABLE, name + " cannot be opened: " + e.getMessage(), e);
      }
    }
  }

  /** An image in the memory of the process: the vDSO, which the kernel maps as a whole file. */
  record InMemory(String name, byte[] bytes) implements ElfSource {
    @Override
    public ElfReader open() {
      return ElfReader.of(bytes);
    }
  }
}

package io.xolotl.xol.elf;

import io.xolotl.xol.elf.SymbolException.Reason;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
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

    /** The identity of a regular file, or {@code null} if there is none that we may look at. */
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
   * A file as this process sees it.
   *
   * @param path for instance below {@code /proc/PID/root}
   */
  record OnDisk(String name, Path path, Identity identity) implements ElfSource {

    /** The file at a path, or {@code null} if there is no readable regular file. */
    static @Nullable OnDisk at(String name, Path root, String path) {
      try {
        // Not resolve(): an absolute path would drop the root.
        Path file = Path.of(root + "/" + path);
        Identity identity = Identity.of(file);
        return identity == null || !Files.isReadable(file) ? null : new OnDisk(name, file, identity);
      } catch (InvalidPathException e) {
        return null;
      }
    }

    @Override
    public ElfReader open() {
      try {
        ElfReader reader = ElfReader.open(path);
        if (!identity.equals(Identity.of(path))) {
          reader.close();
          throw new SymbolException(Reason.ELF_UNREADABLE,
              name + " changed or its process ended since its headers were read");
        }
        return reader;
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

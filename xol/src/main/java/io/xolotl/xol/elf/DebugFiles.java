package io.xolotl.xol.elf;

import io.xolotl.xol.elf.ElfSource.OnDisk;
import java.nio.file.Path;
import java.util.zip.CRC32;
import org.jspecify.annotations.Nullable;

/**
 * Finds the files into which distributions move the {@code .symtab} of what they ship. The places are those
 * of GDB.
 *
 * @param root the root directory of the process, from here
 * @param debugDirectory where debug files of the whole system are, below {@code root}
 * @see <a href="https://sourceware.org/gdb/current/onlinedocs/gdb.html/Separate-Debug-Files.html">Separate
 *     debug files</a>
 */
record DebugFiles(Path root, String debugDirectory) {

  /** A debug file is read as a whole to tell whether it is the right one; a browser's has 2 GB. */
  private static final long LARGEST = 3L << 30;

  /** A separate debug file that belongs to the file asked about. */
  record DebugFile(ElfSource source, ElfImage image) {}

  /**
   * Finds the debug file of a module, or what it has of one in itself.
   *
   * @param image the module
   * @param source where it is
   * @param path its path in the process's mount namespace
   * @return {@code null} if there is none, or none that fits
   */
  @Nullable
  DebugFile find(ElfImage image, ElfSource source, String path) {
    DebugFile apart = find(image, path);
    return apart != null ? apart : image.embeddedSymbols(source);
  }

  private @Nullable DebugFile find(ElfImage image, String path) {
    String buildId = image.buildId();
    if (buildId != null && buildId.length() > 2) {
      OnDisk file = at(
          debugDirectory + "/.build-id/" + buildId.substring(0, 2) + '/' + buildId.substring(2) + ".debug");
      DebugFile found = file == null ? null : open(file, buildId);
      if (found != null) {
        return found;
      }
    }
    ElfImage.DebugLink link = image.debugLink();
    if (link == null) {
      return null;
    }
    String directory = path.substring(0, path.lastIndexOf('/') + 1);
    for (String place : new String[]{directory, directory + ".debug/", debugDirectory + directory}) {
      OnDisk file = at(place + link.fileName());
      if (file != null && hasChecksum(file, link.crc())) {
        DebugFile found = open(file, null);
        if (found != null) {
          return found;
        }
      }
    }
    return null;
  }

  private @Nullable OnDisk at(String path) {
    return OnDisk.at(path, root, path);
  }

  /**
   * A debug file that cannot be read or is another build's is as good as none: the module itself still has
   * symbols.
   */
  private static @Nullable DebugFile open(OnDisk file, @Nullable String buildId) {
    try {
      ElfImage image = ImageCache.image(file);
      boolean fits = image.firstOfType(Section.SYMTAB) != null
          && (buildId == null || buildId.equals(image.buildId()));
      return fits ? new DebugFile(file, image) : null;
    } catch (SymbolException e) {
      Reading.check();
      return null;
    }
  }

  private static boolean hasChecksum(OnDisk file, int expected) {
    try {
      return file.identity().size() <= LARGEST && expected == ElfImage.guarded(file, reader -> {
        var crc = new CRC32();
        reader.forEachChunk(crc::update);
        return (int) crc.getValue();
      });
    } catch (SymbolException e) {
      Reading.check();
      return false;
    }
  }
}

package io.xolotl.xol.elf;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import org.jspecify.annotations.Nullable;
import org.tukaani.xz.XZInputStream;

/**
 * The symbols that some distributions leave in what they strip: {@code .gnu_debugdata} is an ELF file with a
 * {@code .symtab}, compressed by xz (GDB, "Debugging information in a special section").
 */
final class EmbeddedSymbols {

  static final String SECTION = ".gnu_debugdata";

  /** Ten times those of libc. */
  private static final int LARGEST_PACKED = 1 << 24;
  private static final int LARGEST = 1 << 26;
  /** A dictionary of 64 MiB, as {@code xz -9} has it, and a little: KiB. */
  private static final int MOST_MEMORY = 70 << 10;

  private EmbeddedSymbols() {}

  /** The symbols of a file; null if it has none, or none that can be read. */
  static DebugFiles.@Nullable DebugFile of(ElfImage image, ElfSource source) {
    try {
      byte[] packed = ElfImage.guarded(source, reader -> packed(image, reader));
      if (packed.length == 0) {
        return null;
      }
      var unpacked = new ElfSource.InMemory(source.name() + "'s " + SECTION, unpacked(packed));
      ElfImage symbols = ElfImage.of(unpacked);
      return symbols.firstOfType(Section.SYMTAB) == null ? null : new DebugFiles.DebugFile(unpacked, symbols);
    } catch (SymbolException | IOException e) {
      Reading.check();
      // Damaged, it is as good as none: the file itself still has symbols.
      return null;
    }
  }

  private static byte[] packed(ElfImage image, ElfReader reader) {
    for (Section section : image.sections()) {
      if (section.name().equals(SECTION) && section.type() != Section.NOBITS
          && section.size() <= LARGEST_PACKED) {
        return image.content(reader, section).array();
      }
    }
    return new byte[0];
  }

  private static byte[] unpacked(byte[] packed) throws IOException {
    try (var in = new XZInputStream(new ByteArrayInputStream(packed), MOST_MEMORY)) {
      var out = new ByteArrayOutputStream();
      var chunk = new byte[1 << 16];
      for (int length; (length = in.read(chunk)) > 0;) {
        Reading.check();
        out.write(chunk, 0, length);
        if (out.size() > LARGEST) {
          throw new IOException(SECTION + " is too large");
        }
      }
      return out.toByteArray();
    }
  }
}

package io.xolotl.xol.elf;

import java.nio.ByteBuffer;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** Reads the notes of a file. Called inside {@link ElfImage#guarded} only. */
final class Notes {

  /** A build id is in a section of some bytes; core files, which are no programs, have large notes. */
  private static final int LARGEST = 1 << 16;
  private static final int HEADER = 12;
  private static final int BUILD_ID = 3;
  /** "GNU\0". */
  private static final int GNU = 0x00554e47;

  private Notes() {}

  /**
   * The build id and where it is; null if there is none. jelf's notes are not used: it allocates as many
   * bytes as the note says, up to two gigabytes.
   */
  static ElfImage.@Nullable Mark buildId(ElfImage image, ElfReader reader) {
    for (Section section : image.sections()) {
      if (section.type() != Section.NOTE || section.size() > LARGEST) {
        continue;
      }
      ByteBuffer notes = image.content(reader, section);
      while (notes.remaining() >= HEADER) {
        int nameSize = notes.getInt();
        int descriptorSize = notes.getInt();
        int type = notes.getInt();
        if (nameSize < 0 || descriptorSize < 0 || nameSize > notes.remaining() - 3) {
          break;
        }
        int name = notes.position();
        int descriptor = name + (nameSize + 3 & ~3);
        if (descriptor > notes.limit() || descriptorSize > notes.limit() - descriptor) {
          break;
        }
        if (type == BUILD_ID && nameSize == Integer.BYTES && notes.getInt(name) == GNU) {
          return new ElfImage.Mark(section.offset() + descriptor,
              Arrays.copyOfRange(notes.array(), descriptor, descriptor + descriptorSize));
        }
        notes.position(Math.min(notes.limit(), descriptor + (descriptorSize + 3 & ~3)));
      }
    }
    return null;
  }
}

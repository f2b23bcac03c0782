package io.xolotl.xol.elf;

import io.xolotl.ptrace.RestartableSequence;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import net.fornwall.jelf.ElfException;

/**
 * What a file says of restartable sequences besides their records. Called inside {@link ElfImage#guarded}
 * only.
 */
final class SequenceSigns {

  private static final int CHUNK = 64 << 10;
  private static final int SIGNATURE_BYTES = 4;
  /** Far more than any program has; code that is full of them is of no program. */
  private static final int MOST = 1 << 16;
  /** A record has three at most. */
  private static final int MOST_WORDS = 3 * MOST;
  private static final int RELA_BYTES = 24;
  private static final int R_X86_64_RELATIVE = 8;

  private SequenceSigns() {}

  /**
   * Finds the signatures in executable segments: the kernel takes no address for that of an abort handler
   * that has none in front (rseq_get_rseq_cs() in kernel/rseq.c). What directly follows the opcode of
   * {@code mov r32, imm32} or {@code push imm32} is not one of these: so the signature is handed over to
   * rseq(2).
   *
   * @return the addresses behind them, in the file's address space and in no order
   */
  static long[] abortHandlers(ElfImage image, ElfReader reader) {
    long[] found = new long[4];
    int count = 0;
    long bytesLeft = reader.size();
    for (ElfImage.Segment segment : image.segments()) {
      if (!segment.executable()) {
        continue;
      }
      bytesLeft -= segment.fileSize();
      if (segment.fileSize() < 0 || bytesLeft < 0 || segment.offset() > reader.size() - segment.fileSize()) {
        // Overlapping segments could otherwise make a small file cost hours.
        throw new ElfException("its executable segments are larger than the file");
      }
      // Chunks overlap by what is looked at around the first byte of a signature.
      for (long at = 0; at < segment.fileSize(); at += CHUNK - SIGNATURE_BYTES) {
        int length = (int) Math.min(CHUNK, segment.fileSize() - at);
        ByteBuffer chunk = reader.read(segment.offset() + at, length);
        for (int i = at == 0 ? 0 : 1; i <= length - SIGNATURE_BYTES; i++) {
          if (chunk.get(i) == (byte) RestartableSequence.SIGNATURE
              && chunk.getInt(i) == RestartableSequence.SIGNATURE
              && (i == 0 || !isOpcodeBeforeImmediate(chunk.get(i - 1)))) {
            if (count == MOST) {
              throw new ElfException("it has more than " + MOST + " signatures of abort handlers");
            }
            found = count == found.length ? Arrays.copyOf(found, 2 * count) : found;
            found[count++] = segment.address() + at + i + SIGNATURE_BYTES;
          }
        }
      }
    }
    return Arrays.copyOf(found, count);
  }

  private static boolean isOpcodeBeforeImmediate(byte opcode) {
    return (opcode & 0xf8) == 0xb8 || opcode == 0x68;
  }

  /**
   * What the dynamic linker will write into the words of a section, less the load bias, where the place does
   * not tell.
   *
   * @return by the words' addresses in the file's address space
   */
  static Map<Long, Long> relativeWords(ElfImage image, ElfReader reader, Section section) {
    var words = new HashMap<Long, Long>();
    long bytesLeft = reader.size();
    for (Section table : image.sections()) {
      if (table.type() != Section.RELA || image.layout() != ElfLayout.ELF64
          || (bytesLeft -= table.size()) < 0) {
        continue;
      }
      image.requireTable(reader, table, RELA_BYTES);
      ByteBuffer entries = image.content(reader, table).order(ByteOrder.LITTLE_ENDIAN);
      for (int i = 0; i + RELA_BYTES <= entries.limit() && words.size() < MOST_WORDS; i += RELA_BYTES) {
        if ((int) entries.getLong(i + 8) == R_X86_64_RELATIVE && section.contains(entries.getLong(i))) {
          words.put(entries.getLong(i), entries.getLong(i + 16));
        }
      }
    }
    return words;
  }
}

package io.xolotl.xol;

import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.lab.Await;
import io.xolotl.xol.elf.CodeFile;
import io.xolotl.xol.elf.SymbolException;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Files that cost their maker nothing, and whoever reads all that they promise hours or gigabytes. Each is
 * looked at in a JVM that has 500 MB, and 30 s of a CPU, which are ten times what it needs.
 */
class HugeElfTest {

  private static final int HEADER = 64;
  private static final int SECTION_HEADER = 64;
  private static final int SYMBOL = 24;
  /** Behind the header. */
  private static final long NAMES = 0x1000;
  private static final long TABLES = 0x10_0000;

  private static final int STRTAB = 3;
  private static final int SYMTAB = 2;
  private static final int DYNAMIC = 6;
  private static final int NOTE = 7;
  private static final int PROGBITS = 1;

  private record Header(String name, int type, long offset, long size, int link, long entrySize) {}

  /** Looks a function up in a file, and prints what comes of it. */
  static final class LookUp {

    private LookUp() {}

    public static void main(String[] arguments) {
      try {
        CodeFile file = CodeFile.open(Path.of(arguments[0]));
        System.out.println("opened, with " + file.functions().size() + " functions");
        System.out.println(file.function("wanted").name());
      } catch (SymbolException e) {
        System.out.println(e.reason() + " " + e.getMessage());
      }
    }
  }

  @TempDir
  private Path directory;
  private Path file = Path.of("");
  private final List<Header> headers = new ArrayList<>();

  @BeforeEach
  void nothingYet() {
    file = directory.resolve("huge");
    headers.add(new Header("", 0, 0, 0, 0, 0));
  }

  private List<String> lookUp() throws Exception {
    write();
    var command = List.of("prlimit", "--cpu=30",
        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
        "--enable-native-access=ALL-UNNAMED", "-Xmx500m", "-XX:-UsePerfData", "-XX:+UseSerialGC", "-cp",
        ChildJvm.classPath(),
        LookUp.class.getName(),
        file.toString());
    Process child = new ProcessBuilder(command).redirectErrorStream(true).start();
    try {
      List<String> lines = new String(child.getInputStream().readAllBytes(), StandardCharsets.UTF_8).lines()
          .toList();
      assertThat(child.waitFor(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS)).isTrue();
      assertThat(child.exitValue()).as(() -> String.join("\n", lines)).isZero();
      return lines;
    } finally {
      child.destroyForcibly();
    }
  }

  /** Writes the header, the names of the sections and their headers; the file keeps its length. */
  private void write() throws IOException {
    var names = new StringBuilder();
    headers.add(new Header(".shstrtab", STRTAB, NAMES, 0x1000, 0, 0));
    ByteBuffer table = buffer(headers.size() * SECTION_HEADER);
    for (Header header : headers) {
      if (names.indexOf(header.name() + "\0") < 0) {
        names.append(header.name()).append('\0');
      }
      table.putInt(names.indexOf(header.name() + "\0")).putInt(header.type()).putLong(0).putLong(0)
          .putLong(header.offset()).putLong(header.size()).putInt(header.link()).putInt(0).putLong(1)
          .putLong(header.entrySize());
    }
    long end = Math.max(TABLES, headers.stream().mapToLong(header -> header.offset() + header.size()).max()
        .orElseThrow());
    ByteBuffer elf = buffer(HEADER);
    elf.put(new byte[]{0x7f, 'E', 'L', 'F', 2, 1, 1}).position(16);
    elf.putShort((short) 3).putShort((short) 62).putInt(1).putLong(0).putLong(0).putLong(end).putInt(0)
        .putShort((short) HEADER).putShort((short) 56).putShort((short) 0).putShort((short) SECTION_HEADER)
        .putShort((short) headers.size()).putShort((short) (headers.size() - 1));
    put(0, elf);
    put(NAMES, ByteBuffer.wrap(names.toString().getBytes(StandardCharsets.US_ASCII)));
    put(end, table);
  }

  private static ByteBuffer buffer(int size) {
    return ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
  }

  private void put(long offset, ByteBuffer bytes) throws IOException {
    try (var out = new RandomAccessFile(file.toFile(), "rw")) {
      out.seek(offset);
      out.write(bytes.array());
    }
  }

  /** So many functions, all of one name. */
  private void symbols(int count, int nameLength) throws IOException {
    ByteBuffer table = buffer(count * SYMBOL);
    for (int i = 1; i < count; i++) {
      // A global function in no section.
      table.position(i * SYMBOL).putInt(1).put((byte) 0x12).put((byte) 0).putShort((short) 1);
    }
    byte[] names = new byte[nameLength + 2];
    Arrays.fill(names, 1, nameLength + 1, (byte) 'a');
    put(TABLES, ByteBuffer.wrap(names));
    long start = TABLES + names.length;
    put(start, table);
    headers.add(new Header(".strtab", STRTAB, TABLES, names.length, 0, 0));
    headers.add(new Header(".symtab", SYMTAB, start, table.limit(), 1, SYMBOL));
  }

  @Test
  void notesThatOverlap() throws Exception {
    for (int i = 0; i < 30_000; i++) {
      headers.add(new Header(".note", NOTE, TABLES, 1 << 16, 0, 0));
    }
    assertThat(lookUp()).hasSize(1).first().asString().startsWith("ELF_MALFORMED ")
        .contains("its tables are larger than the file");
  }

  @Test
  void notesOfManyMegabytes() throws Exception {
    for (int i = 0; i < 1_000; i++) {
      headers.add(new Header(".note", NOTE, TABLES, 100 << 20, 0, 0));
    }
    assertThat(lookUp()).last().asString().startsWith("SYMBOL_NOT_FOUND ");
  }

  @Test
  void aDebugFileOf100Gigabytes() throws Exception {
    try (var debug = new RandomAccessFile(directory.resolve("endless").toFile(), "rw")) {
      debug.setLength(100L << 30);
    }
    ByteBuffer link = buffer(16);
    link.put("endless".getBytes(StandardCharsets.US_ASCII)).putInt(12, 0);
    put(TABLES, link);
    headers.add(new Header(".gnu_debuglink", PROGBITS, TABLES, link.limit(), 0, 0));
    assertThat(lookUp()).last().asString().startsWith("SYMBOL_NOT_FOUND ");
  }

  @Test
  void fiveMillionSymbols() throws Exception {
    symbols(5_000_000, 700);
    assertThat(lookUp()).hasSize(1).first().asString().startsWith("ELF_MALFORMED ").contains("symbols");
  }

  @Test
  void namesOfGigabytesInAll() throws Exception {
    symbols(2_900_000, 700);
    assertThat(lookUp()).hasSize(1).first().asString().startsWith("ELF_MALFORMED ");
  }

  @Test
  void aNameOf100Megabytes() throws Exception {
    symbols(2, 100 << 20);
    assertThat(lookUp()).hasSize(1).first().asString().startsWith("ELF_MALFORMED ")
        .contains("a name in it has more than 65536 characters").hasSizeLessThan(500);
  }

  @Test
  void aDynamicSectionOfAGigabyte() throws Exception {
    headers.add(new Header(".dynamic", DYNAMIC, TABLES, 1 << 30, 0, 16));
    assertThat(lookUp()).hasSize(1).first().asString().startsWith("ELF_MALFORMED ").contains(".dynamic");
  }
}

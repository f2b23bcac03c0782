package io.xolotl.decoder;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Objects;

/** The data files below {@code instructions}; the head of each explains its lines. */
final class InstructionFile {

  static final long ADDRESS = 0x401000;

  static final List<String> NAMES = List.of("rip_relative", "vex_evex_xop", "branches", "stack", "nops",
      "strings", "system", "copies", "undecodable", "compat_32", "mpx");

  /** Who reads the bytes of a line. */
  enum Reader {
    // A comment after each keeps the formatter from joining them.
    AMD(CpuVendor.AMD, MachineMode.LONG_64, false), //
    INTEL(CpuVendor.INTEL, MachineMode.LONG_64, false), //
    COMPAT(CpuVendor.INTEL, MachineMode.COMPAT_32, false), //
    COMPAT_AMD(CpuVendor.AMD, MachineMode.COMPAT_32, false), //
    MPX(CpuVendor.INTEL, MachineMode.LONG_64, true);

    final Decoder decoder;

    Reader(CpuVendor vendor, MachineMode mode, boolean mpx) {
      decoder = Decoder.of(mode, vendor, mpx);
    }
  }

  record Line(Reader reader, String assembly, byte[] bytes, String underFull, String underStrict) {
    @Override
    public String toString() {
      return assembly + " for " + reader;
    }
  }

  private InstructionFile() {}

  static List<Line> read(String name) {
    var lines = new ArrayList<Line>();
    String assembly = "";
    for (String text : text(name + ".txt").split("\n")) {
      if (text.startsWith("#")) {
        assembly = text.substring(1).strip();
      } else if (!text.isBlank()) {
        String[] fields = text.split(" \\| ");
        String[] words = fields[0].split(" ", 2);
        boolean named = words[0].length() > 2;
        byte[] bytes = HexFormat.ofDelimiter(" ").parseHex(named ? words[1] : fields[0]);
        List<Reader> readers = named ? readers(words[0]) : List.of(Reader.AMD, Reader.INTEL);
        for (Reader reader : readers) {
          lines.add(new Line(reader, assembly, bytes, fields[1], fields[fields.length - 1]));
        }
      }
    }
    return lines;
  }

  static List<Line> readAll() {
    return NAMES.stream().flatMap(name -> read(name).stream()).toList();
  }

  private static List<Reader> readers(String name) {
    Reader reader = Reader.valueOf(name.toUpperCase(Locale.ROOT));
    return reader == Reader.COMPAT ? List.of(Reader.COMPAT, Reader.COMPAT_AMD) : List.of(reader);
  }

  private static String text(String file) {
    try (InputStream in = InstructionFile.class.getResourceAsStream("instructions/" + file)) {
      return new String(Objects.requireNonNull(in, file).readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}

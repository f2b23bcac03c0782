package io.xolotl.decoder;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Objects;

/** The data files below {@code instructions}; the head of each explains its lines. */
final class InstructionFile {

  static final long ADDRESS = 0x401000;

  static final List<String> NAMES = List.of("rip_relative", "vex_evex_xop", "branches", "stack", "nops",
      "strings", "system", "copies", "undecodable", "compat_32", "mpx");

  private static final String SITUATION = "== ";

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

  record Line(String situation, Reader reader, String assembly, byte[] bytes, String underFull,
      String underStrict) {
    @Override
    public String toString() {
      return situation + ": " + assembly + " for " + reader;
    }
  }

  private InstructionFile() {}

  static List<Line> read(String name) {
    return parse(name, text(name + ".txt"));
  }

  /** Reads strictly: a line that is lost or named by another situation would still pass its test. */
  static List<Line> parse(String name, String file) {
    var lines = new ArrayList<Line>();
    var situations = new HashSet<String>();
    String situation = "";
    String assembly = "";
    int linesBefore = 0;
    for (String text : file.split("\n")) {
      if (text.startsWith(SITUATION)) {
        check(situation.isEmpty() || lines.size() > linesBefore, name, situation, "has no lines");
        situation = text.substring(SITUATION.length()).strip();
        check(situations.add(situation), name, situation, "is there twice");
        assembly = "";
        linesBefore = lines.size();
      } else if (text.startsWith("#")) {
        assembly = text.substring(1).strip();
      } else if (!text.isBlank()) {
        check(!situation.isEmpty(), name, text, "is under no situation");
        check(!assembly.isEmpty(), name, text, "is under no assembly");
        lines.addAll(lines(situation, assembly, text));
      }
    }
    check(lines.size() > linesBefore, name, situation, "has no lines");
    return lines;
  }

  private static void check(boolean condition, String name, String what, String failure) {
    if (!condition) {
      throw new IllegalArgumentException(name + ": \"" + what + "\" " + failure);
    }
  }

  private static List<Line> lines(String situation, String assembly, String text) {
    String[] fields = text.split(" \\| ");
    String[] words = fields[0].split(" ", 2);
    boolean named = words[0].length() > 2;
    byte[] bytes = HexFormat.ofDelimiter(" ").parseHex(named ? words[1] : fields[0]);
    List<Reader> readers = named ? readers(words[0]) : List.of(Reader.AMD, Reader.INTEL);
    return readers.stream()
        .map(reader -> new Line(situation, reader, assembly, bytes, fields[1], fields[fields.length - 1]))
        .toList();
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

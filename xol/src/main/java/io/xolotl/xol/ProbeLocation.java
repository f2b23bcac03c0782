package io.xolotl.xol;

import java.util.List;
import java.util.Objects;

/** Where a probe goes. Its text is what {@link #parse} reads. */
public sealed interface ProbeLocation {

  /**
   * An address in the process.
   *
   * @param address of an instruction's first byte, unsigned
   */
  record Address(long address) implements ProbeLocation {
    @Override
    public String toString() {
      return LocationGrammar.hex(address);
    }
  }

  /**
   * An instruction of a function.
   *
   * @param module names a mapped ELF file: its file name, full path, soname, or the beginning of exactly one
   *     file name up to a dot or dash
   * @param symbol names the function: its symbol, with a version if it has several
   *     ({@code memcpy@GLIBC_2.2.5}); or its C++ name as people write it, with or without the types of its
   *     arguments ({@code app::twice<int>}), where libstdc++ is installed
   * @param offset of the instruction's first byte from the function's, not negative
   */
  record Symbol(String module, String symbol, long offset) implements ProbeLocation {

    /** Refuses null and negative offsets. */
    public Symbol {
      Objects.requireNonNull(module, "module");
      Objects.requireNonNull(symbol, "symbol");
      if (offset < 0) {
        throw new IllegalArgumentException("an offset is not negative, as " + offset + " is");
      }
    }

    @Override
    public String toString() {
      return module + ":" + symbol + (offset == 0 ? "" : "+" + LocationGrammar.hex(offset));
    }
  }

  /**
   * An address of a module's file, as readelf, objdump, addr2line and perf print it: it is the same wherever
   * the module is mapped.
   *
   * @param module names a mapped ELF file, as {@link Symbol} does
   * @param address of an instruction's first byte in the file's own address space, unsigned
   */
  record FileAddress(String module, long address) implements ProbeLocation {

    /** Refuses null. */
    public FileAddress {
      Objects.requireNonNull(module, "module");
    }

    @Override
    public String toString() {
      return module + "+" + LocationGrammar.hex(address);
    }
  }

  /**
   * What somebody has written and what may be read in several ways, since names of modules and symbols may
   * have colons and plus signs in them: the modules and symbols of the process tell. The longest module wins,
   * then the longest symbol.
   *
   * @param text what {@link #parse} was given
   */
  record Written(String text) implements ProbeLocation {

    /** Refuses null, and what cannot be read at all. */
    public Written {
      if (LocationGrammar.readings(text).isEmpty()) {
        throw new IllegalArgumentException("'" + text + "' cannot be read as a location");
      }
    }

    /** {@return all ways to read it, in the order in which they are tried} */
    public List<ProbeLocation> readings() {
      return LocationGrammar.readings(text);
    }

    @Override
    public String toString() {
      return text;
    }
  }

  /**
   * Reads {@code MODULE:SYMBOL}, {@code MODULE:SYMBOL+OFFSET}, {@code MODULE+0xADDRESS} or
   * {@code 0xADDRESS}; the offset is hexadecimal with {@code 0x} before it and decimal otherwise.
   *
   * @param text what to read
   * @return {@link Written} if there are several ways to read it
   * @throws IllegalArgumentException if there is none
   */
  static ProbeLocation parse(String text) {
    if (LocationGrammar.ADDRESS.matcher(text).matches()) {
      return new Address(Long.parseUnsignedLong(text, 2, text.length(), 16));
    }
    List<ProbeLocation> readings = LocationGrammar.readings(text);
    if (readings.isEmpty() && text.startsWith("0x")) {
      throw new IllegalArgumentException("'" + text + "' is no hexadecimal address");
    }
    return switch (readings.size()) {
      case 0 -> throw new IllegalArgumentException(
          "'" + text + "' is neither MODULE:SYMBOL[+OFFSET], MODULE+0xADDRESS nor 0xADDRESS");
      case 1 -> readings.getFirst();
      default -> new Written(text);
    };
  }
}

package io.xolotl.xol.site;

import io.xolotl.decoder.Decoder;
import io.xolotl.decoder.Decoding;
import io.xolotl.decoder.Instruction;
import io.xolotl.xol.code.TracerThread;
import io.xolotl.xol.elf.FunctionRange;
import io.xolotl.xol.site.SiteException.Reason;
import java.util.BitSet;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;

/**
 * Where the instructions of functions start: each function is decoded from its start, once for all probes
 * that are registered together, and only as far as they reach. Tracer thread only.
 */
@TracerThread
final class Boundaries {

  /** Reads code without our breakpoints. */
  interface Reader {
    byte[] read(long address, int length);
  }

  private static final int LONGEST = 15;

  private final Decoder decoder;
  private final Reader text;
  private final Map<Long, Code> functions = new HashMap<>();

  Boundaries(Decoder decoder, Reader text) {
    this.decoder = decoder;
    this.text = text;
  }

  /** A function, decoded up to an offset. */
  private final class Code {
    final long start;
    final byte[] bytes;
    final BitSet starts = new BitSet();
    int decoded;
    /** There is data between the instructions: from there on nothing is known. */
    boolean data;

    Code(FunctionRange function) {
      start = function.start();
      bytes = text.read(start, Math.toIntExact(function.size()) + LONGEST);
    }

    /** Decodes until an instruction ends behind an offset or at it. */
    void decodeTo(int offset) {
      while (decoded <= offset && !data) {
        if (instructionAt(decoded).orElse(null) instanceof Instruction instruction) {
          starts.set(decoded);
          decoded += instruction.length();
        } else {
          data = true;
        }
      }
    }

    Optional<Instruction> instructionAt(int offset) {
      int available = Math.min(LONGEST, bytes.length - offset);
      if (available <= 0) {
        return Optional.empty();
      }
      Decoding decoding = decoder.decode(bytes, offset, available, start + offset);
      return decoding instanceof Instruction instruction ? Optional.of(instruction) : Optional.empty();
    }
  }

  /**
   * Refuses what is not known to be an instruction's first byte, unless the caller insists on it; what is
   * known to be in the middle of one is refused in any case.
   *
   * @param place what is to be probed
   * @param instruction what its bytes are
   */
  void check(Place place, Instruction instruction) {
    long address = place.address();
    FunctionRange function = place.function().orElse(null);
    boolean verified = function != null;
    if (function != null && function.start() != address) {
      Code code = functions.computeIfAbsent(function.start(), start -> new Code(function));
      int offset = Math.toIntExact(address - function.start());
      code.decodeTo(offset);
      verified = code.starts.get(offset);
      if (!verified && code.decoded > offset) {
        Instruction around = code.instructionAt(code.starts.previousSetBit(offset)).orElseThrow();
        throw new SiteException(Reason.NOT_AN_INSTRUCTION_BOUNDARY, address,
            SiteException.hex(address) + " is in the middle of '" + around.text() + "' at "
                + SiteException.hex(around.address())
                + ", an instruction of " + function.module().name() + ":" + function.name());
      }
    }
    if (!verified && !place.trusted()) {
      throw new SiteException(Reason.BOUNDARY_UNVERIFIED, address,
          "no symbol shows that an instruction starts at " + SiteException.hex(address)
              + "; if you know that '"
              + instruction.text()
              + "' does, insist with trustingBoundary() (command line: --trust-boundary)");
    }
  }
}

package io.xolotl.lab.generation;

import io.xolotl.decoder.DecodedInstruction;
import io.xolotl.decoder.Decoder;
import io.xolotl.decoder.Encoding;
import io.xolotl.lab.generation.Form.Kind;
import java.io.ByteArrayOutputStream;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * All instructions that the decoder knows, found by trying all opcodes of all opcode maps with all mandatory
 * prefixes, widths and vector lengths. Immutable.
 */
final class InstructionSet {

  private static final class Holder {
    static final InstructionSet OF_THIS_CPU = new InstructionSet(Decoder.forThisCpu());
  }

  private final Decoder decoder;
  private final TreeMap<String, List<Form>> forms = new TreeMap<>();
  private final TreeMap<String, SortedSet<String>> byCategory = new TreeMap<>();

  private InstructionSet(Decoder decoder) {
    this.decoder = decoder;
    for (int opcode = 0; opcode < 256; opcode++) {
      for (int mandatory = 0; mandatory < 4; mandatory++) {
        for (boolean wide : new boolean[]{false, true}) {
          for (int map = 0; map < 4; map++) {
            add(Kind.LEGACY, map, opcode, mandatory, wide, 0, false);
          }
          for (int length = 0; length < 2; length++) {
            for (int map = 1; map <= 3; map++) {
              add(Kind.VEX, map, opcode, mandatory, wide, length, false);
            }
            for (int map = 8; map <= 10; map++) {
              add(Kind.XOP, map, opcode, mandatory, wide, length, false);
            }
          }
          for (int map = 1; map <= 6; map++) {
            addEvex(map, opcode, mandatory, wide);
          }
        }
      }
      add(Kind.THREE_DNOW, 0, opcode, 0, false, 0, false);
    }
  }

  static InstructionSet ofThisCpu() {
    return Holder.OF_THIS_CPU;
  }

  /** With broadcast or rounding only what there is without: that saves half of the time. */
  private void addEvex(int map, int opcode, int mandatory, boolean wide) {
    boolean known = false;
    for (int length = 0; length < 4; length++) {
      known |= add(Kind.EVEX, map, opcode, mandatory, wide, length, false);
    }
    for (int length = 0; known && length < 4; length++) {
      add(Kind.EVEX, map, opcode, mandatory, wide, length, true);
    }
  }

  private boolean add(Kind kind, int map, int opcode, int mandatory, boolean wide, int length,
      boolean broadcast) {
    var bare = new Form(kind, map, opcode, mandatory, wide, length, broadcast, new byte[0]);
    Map<String, ByteArrayOutputStream> modrms = new HashMap<>();
    for (int reg = 0; reg < 8; reg++) {
      // Memory, by an address that is a register or, for gathers and AMX, has an index.
      addIfKnown(modrms, bare, reg << 3);
      addIfKnown(modrms, bare, reg << 3 | 4);
      // What the register is decides only in the legacy maps, as in 0f 01.
      for (int rm = 0; rm < (kind == Kind.LEGACY ? 8 : 1); rm++) {
        addIfKnown(modrms, bare, 0xc0 | reg << 3 | rm);
      }
    }
    modrms.forEach((mnemonic, samples) -> forms.computeIfAbsent(mnemonic, m -> new ArrayList<>())
        .add(new Form(kind, map, opcode, mandatory, wide, length, broadcast, samples.toByteArray())));
    return !modrms.isEmpty();
  }

  private void addIfKnown(Map<String, ByteArrayOutputStream> modrms, Form form, int modrm) {
    if (decoder.decode(form.sample(modrm), 0) instanceof DecodedInstruction instruction
        && is(form.kind(), instruction)) {
      modrms.computeIfAbsent(instruction.mnemonic(), m -> new ByteArrayOutputStream()).write(modrm);
      byCategory.computeIfAbsent(instruction.category(), c -> new TreeSet<>()).add(instruction.mnemonic());
    }
  }

  /** Opcode bytes of the legacy maps may also be prefixes. */
  private static boolean is(Kind kind, DecodedInstruction instruction) {
    return instruction.encoding() == switch (kind) {
      case LEGACY -> Encoding.LEGACY;
      case THREE_DNOW -> Encoding.THREE_DNOW;
      case VEX -> Encoding.VEX;
      case EVEX -> Encoding.EVEX;
      case XOP -> Encoding.XOP;
    };
  }

  /** All mnemonics, as {@link DecodedInstruction#mnemonic} names them. */
  SortedSet<String> mnemonics() {
    return new TreeSet<>(forms.keySet());
  }

  /** All mnemonics, by their categories as {@link DecodedInstruction#category} names them. */
  SortedMap<String, SortedSet<String>> byCategory() {
    return Collections.unmodifiableSortedMap(byCategory);
  }

  /** The forms of a mnemonic, at least one if it is known. */
  List<Form> forms(String mnemonic) {
    return forms.getOrDefault(mnemonic, List.of());
  }
}

package io.xolotl.decoder.reference;

import io.xolotl.decoder.backend.Form;
import io.xolotl.decoder.backend.Layout;
import io.xolotl.decoder.backend.Names;
import io.xolotl.decoder.tables.TableBackend;
import io.xolotl.decoder.tables.Tables;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;

/**
 * What the tables say, for people: a line for each mnemonic and each way to encode it, so that the difference
 * between two builds can be read. A line has the mnemonic, its encoding, map and opcode, how many cells lead
 * to it, its instruction set, and one instruction of that kind in text.
 */
final class TableListing {

  private static final List<String> SPACES = List.of("0", "0f", "0f38", "0f3a", "3dnow", "xop8", "xop9",
      "xop10",
      "vex0", "vex1", "vex2", "vex3", "evex0", "evex1", "evex2", "evex3", "evex4", "evex5", "evex6", "evex7");

  private static final int SIB = 0x2b;

  /** How often something occurs, and the first that did. */
  private static final class Entry {
    final String example;
    int cells;

    Entry(String example) {
      this.example = example;
    }
  }

  private TableListing() {}

  static String of(Tables tables, Names names, boolean mode64) {
    var lines = new TreeMap<String, Entry>();
    TableBackend backend = TableBackend.of(mode64, false, false, tables);
    var question = new Question(mode64, false, false);
    var encoder = new Encoder(mode64, question);
    for (int i = 0; i < Layout.SPACES * Tables.OPCODES; i++) {
      int space = i / Tables.OPCODES;
      int opcode = i % Tables.OPCODES;
      if (!TableBuilder.isOpcode(mode64, space, opcode)) {
        continue;
      }
      for (int row = 0; row < 1 << Tables.rowBits(space); row++) {
        if (TableBuilder.canonicalRow(mode64, space, row) != row) {
          continue;
        }
        for (int modrm = 0; modrm < 256; modrm++) {
          if (!TableBuilder.isVectorPrefix(mode64, space, opcode, modrm)) {
            encoder.encode(Encoder.NONE, space, opcode, row, modrm, 0, 0, 0, SIB, 1);
            add(lines, backend, names, question.bytes(encoder.length()));
          }
        }
      }
    }
    var text = new ArrayList<String>();
    lines.forEach(
        (key, entry) -> text.add("%s %6d  %s".formatted(key, entry.cells, entry.example).stripTrailing()));
    return String.join("\n", text) + "\n";
  }

  private static void add(TreeMap<String, Entry> lines, TableBackend backend, Names names, byte[] code) {
    long layout = backend.parse(code, 0, code.length);
    if (layout < 0) {
      return;
    }
    Form form = backend.form(code, 0, layout);
    String key = "%-18s %-5s %02x  %-20s".formatted(names.mnemonics().get(form.mnemonic()),
        SPACES.get(Layout.space(layout)), code[Layout.opcodeOffset(layout)],
        names.isaSets().get(form.isaSet()));
    Entry entry = lines.get(key);
    if (entry == null) {
      entry = new Entry(backend.text(code, 0, layout, 0x401000));
      lines.put(key, entry);
    }
    entry.cells++;
  }
}

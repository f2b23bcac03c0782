package io.xolotl.decoder.reference;

import io.xolotl.decoder.backend.Form;
import io.xolotl.decoder.backend.Layout;
import io.xolotl.decoder.backend.RawOperand;
import io.xolotl.decoder.tables.TableBackend;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * Compares what the tables say of bytes with what Zydis says: whether they are an instruction, where its
 * parts are, and everything that {@link io.xolotl.decoder.backend.Backend} tells of it. Why bytes are none is
 * not compared: at the end of the bytes Zydis' answer depends on the order in which it looks.
 *
 * <p>Used by one thread.
 */
final class Comparison {

  private static final long ADDRESS = 0x40_1000;

  private final TableBackend tables;
  private final ZydisBackend zydis;
  private final boolean withText;
  private final Map<String, String> differences = new TreeMap<>();
  private long equal;
  private long refused;
  private long different;

  /**
   * One that has compared nothing.
   *
   * @param withText compare the text too, which takes about as long as all the rest
   */
  Comparison(boolean mode64, boolean amd, boolean mpx, boolean withText) {
    this(TableBackend.of(mode64, amd, mpx), new ZydisBackend(mode64, amd, mpx), withText);
  }

  Comparison(TableBackend tables, ZydisBackend zydis, boolean withText) {
    this.tables = tables;
    this.zydis = zydis;
    this.withText = withText;
  }

  /** How many instructions were equal in everything. */
  long equal() {
    return equal;
  }

  /** How many strings both took for no instruction. */
  long refused() {
    return refused;
  }

  /** How many were different. */
  long different() {
    return different;
  }

  /** What was different, with the first bytes where it was. */
  Map<String, String> differences() {
    return differences;
  }

  /**
   * Compares.
   *
   * @param code holds the bytes
   * @param offset where they start
   * @param limit where they end
   * @return the length of the instruction by the tables; 1 if there is none
   */
  int compare(byte[] code, int offset, int limit) {
    long layout = tables.parse(code, offset, limit);
    long reference = zydis.parse(code, offset, limit);
    if (layout < 0 && reference < 0) {
      refused++;
      return 1;
    }
    String difference = layout < 0
        ? "not in the tables: " + mnemonic(code, offset, reference)
        : reference < 0
            ? "in the tables only: "
                + tables.names().mnemonics().get(tables.form(code, offset, layout).mnemonic())
            : difference(code, offset, layout, reference);
    if (difference == null) {
      equal++;
    } else {
      different++;
      int end = Math.min(limit, offset + Layout.MAX_LENGTH);
      differences.putIfAbsent(difference, HexFormat.of().formatHex(code, offset, end));
    }
    return layout < 0 ? 1 : Layout.length(layout);
  }

  private String mnemonic(byte[] code, int offset, long layout) {
    return zydis.names().mnemonics().get(zydis.form(code, offset, layout).mnemonic());
  }

  private @Nullable String difference(byte[] code, int offset, long layout, long reference) {
    String name = mnemonic(code, offset, reference);
    if (!Layout.isSame(layout, reference)) {
      return "parts of " + name;
    }
    Form form = tables.form(code, offset, layout);
    if (!form.equals(zydis.form(code, offset, reference))) {
      return "meaning of " + name;
    }
    List<RawOperand> operands = tables.operands(code, offset, layout);
    if (!operands.equals(zydis.operands(code, offset, reference))) {
      return "operands of " + name;
    }
    if (tables.generalMask(code, offset, layout) != zydis.generalMask(code, offset, reference)) {
      return "registers of " + name;
    }
    if (withText && !tables.text(code, offset, layout, ADDRESS)
        .equals(zydis.text(code, offset, reference, ADDRESS))) {
      return "text of " + name;
    }
    return null;
  }
}

package io.xolotl.cli;

import io.xolotl.decoder.Classification;
import io.xolotl.decoder.Outcome;
import io.xolotl.decoder.Refusal;
import io.xolotl.decoder.Technique;
import java.io.IOException;
import java.io.Writer;
import java.util.Locale;

/** How many instructions have each outcome, and how the engine executes them. */
final class ClassificationSummary {
  private final long[] outcomes = new long[Outcome.values().length];
  private final long[] refusals = new long[Refusal.values().length];
  private final long[] techniques = new long[Technique.values().length];
  private long instructions;
  private final long swept;
  private final long code;

  /**
   * One that has nothing yet.
   *
   * @param swept how many bytes are looked at
   * @param code how many bytes of code there are
   */
  ClassificationSummary(long swept, long code) {
    this.swept = swept;
    this.code = code;
  }

  void add(Classification classification) {
    instructions++;
    Technique.chosenFor(classification).ifPresent(technique -> techniques[technique.ordinal()]++);
    outcomes[classification.outcome().ordinal()]++;
    if (classification instanceof Classification.Refuse(Refusal reason)) {
      refusals[reason.ordinal()]++;
    }
  }

  void write(Writer out, String file, boolean json) throws IOException {
    if (json) {
      writeJson(out, file);
      return;
    }
    out.write(String.format(Locale.ROOT, "%s: %d instructions in %d of %d bytes of code (%.2f %%)%n",
        Visible.of(file), instructions, swept, code, code == 0 ? 0.0 : 100.0 * swept / code));
    for (Outcome outcome : Outcome.values()) {
      line(out, "  ", outcome.label(), outcomes[outcome.ordinal()]);
    }
    for (Refusal refusal : Refusal.values()) {
      if (refusals[refusal.ordinal()] != 0) {
        line(out, "    ", Names.of(refusal), refusals[refusal.ordinal()]);
      }
    }
    out.write("executed\n");
    for (Technique technique : Technique.values()) {
      line(out, "  ", Names.of(technique), techniques[technique.ordinal()]);
    }
  }

  private void line(Writer out, String indent, String name, long count) throws IOException {
    out.write(String.format(Locale.ROOT, "%-34s %12d %8.3f %%%n", indent + name, count,
        instructions == 0 ? 0.0 : 100.0 * count / instructions));
  }

  private void writeJson(Writer out, String file) throws IOException {
    var document = new JsonWriter(out).beginObject().name("file").value(file).name("instructions")
        .value(instructions).name("bytes").value(swept).name("codeBytes").value(code)
        .name("outcomes").beginObject();
    for (Outcome outcome : Outcome.values()) {
      document.name(outcome.label()).value(outcomes[outcome.ordinal()]);
    }
    document.endObject().name("refused").beginObject();
    for (Refusal refusal : Refusal.values()) {
      if (refusals[refusal.ordinal()] != 0) {
        document.name(refusal.name()).value(refusals[refusal.ordinal()]);
      }
    }
    document.endObject().name("techniques").beginObject();
    for (Technique technique : Technique.values()) {
      document.name(Names.of(technique)).value(techniques[technique.ordinal()]);
    }
    document.endObject().endObject();
    out.write('\n');
  }
}

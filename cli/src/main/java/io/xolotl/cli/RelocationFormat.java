package io.xolotl.cli;

import io.xolotl.lab.fuzzing.Finding;
import io.xolotl.lab.fuzzing.RelocationReport;
import java.io.IOException;
import java.io.Writer;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** What the relocation fuzzer has come to, for people and as a document. */
final class RelocationFormat {

  private RelocationFormat() {}

  static void write(Writer out, RelocationReport report) throws IOException {
    for (Finding finding : report.findings()) {
      out.write(finding + "\n\n");
    }
    for (RelocationReport.Death death : report.deaths()) {
      out.write(death + "\n");
    }
    row(out, "RELOCATED", "COUNT");
    for (Map.Entry<String, Long> outcome : report.outcomes().entrySet()) {
      row(out, outcome.getKey(), outcome.getValue());
    }
    rowIfAny(out, "hangs", report.hangs());
    rowIfAny(out, "killed the process", report.deaths().size());
    rowIfAny(out, "differs from itself", report.varying());
    rowIfAny(out, "fault of a call's push", report.otherFaults());
    row(out, "differences", report.differences());
    paragraph(out, "Never came out", report.notReached());
    paragraph(out, "Refused, as a probe of them is", report.withoutCode());
    for (Map.Entry<String, String> entry : report.reasons().entrySet()) {
      out.write(entry.getKey() + ": " + entry.getValue() + "\n");
    }
    out.write(String.format(Locale.ROOT,
        "%n%,d executions, %,.0f per second, %d of %d mnemonics on this CPU, %,d forms, digest %016x, "
            + "seed %d%n",
        report.executions(), report.perSecond(), report.onThisCpu().size(), report.mnemonics().size(),
        report.forms(), report.digest(), report.seed()));
  }

  private static void rowIfAny(Writer out, String name, long count) throws IOException {
    if (count > 0) {
      row(out, name, count);
    }
  }

  private static void row(Writer out, String name, Object count) throws IOException {
    out.write(String.format(Locale.ROOT, "%-24s %15s%n", name, count));
  }

  private static void paragraph(Writer out, String title, List<String> names) throws IOException {
    if (!names.isEmpty()) {
      out.write(title + ": " + String.join(", ", names) + "\n");
    }
  }

  /** Writes the members of the document, the caller begins and ends it. */
  static void writeMembers(JsonWriter document, RelocationReport report, String cpu) throws IOException {
    document.name("executions").value(report.executions()).name("executionsPerSecond")
        .value(report.perSecond()).name("seed").value(report.seed()).name("digest")
        .value("%016x".formatted(report.digest())).name("mnemonics").value(report.mnemonics().size())
        .name("mnemonicsOnThisCpu").value(report.onThisCpu().size());
    names(document, "mnemonicsNotReached", report.notReached());
    names(document, "mnemonicsRefused", report.withoutCode());
    document.name("reasons").beginArray();
    for (Map.Entry<String, String> entry : report.reasons().entrySet()) {
      document.beginObject().name("mnemonic").value(entry.getKey()).name("reason").value(entry.getValue())
          .endObject();
    }
    document.endArray().name("forms").value(report.forms()).name("outcomes").beginObject();
    for (Map.Entry<String, Long> outcome : report.outcomes().entrySet()) {
      document.name(outcome.getKey()).value(outcome.getValue());
    }
    document.endObject().name("hangs").value(report.hangs()).name("deaths").beginArray();
    for (RelocationReport.Death death : report.deaths()) {
      document.beginObject().name("mnemonic").value(death.mnemonic()).name("bytes")
          .value(HexFormat.of().formatHex(death.code())).endObject();
    }
    document.endArray().name("varying").value(report.varying()).name("transient")
        .value(report.transientOnes())
        .name("otherFaults").value(report.otherFaults()).name("differences").beginArray();
    for (Finding finding : report.findings()) {
      FuzzCommand.writeJson(document, finding);
    }
    document.endArray().name("differencesDropped").value(report.dropped()).name("cpu").value(cpu);
  }

  private static void names(JsonWriter document, String name, List<String> names) throws IOException {
    document.name(name).beginArray();
    for (String each : names) {
      document.value(each);
    }
    document.endArray();
  }
}

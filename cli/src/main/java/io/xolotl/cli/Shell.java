package io.xolotl.cli;

import io.xolotl.ptrace.TerminalSize;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.OutputStreamWriter;
import java.io.PrintWriter;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * What a command has around it.
 *
 * @param output standard output; the results, and nothing else, go there
 * @param messages standard error; nobody ever waits to write there
 * @param terminal what a person who watches the output sees at a time; empty if nobody does
 * @param interruption how a person, or the system, ends a command early
 */
record Shell(Outlet output, PrintWriter messages, Supplier<Optional<TerminalSize>> terminal,
    Interruption interruption) {

  /** Writes results. */
  interface Report {
    void writeTo(Writer out) throws IOException;
  }

  /** Writes results, all of which the reader has taken when this returns. */
  void print(Report report) throws IOException {
    var writer = new BufferedWriter(new OutputStreamWriter(output, StandardCharsets.UTF_8));
    report.writeTo(writer);
    writer.flush();
  }

  /** Tells a person something that is no result: one line, whatever names are in it. */
  void say(String message) {
    messages.println("xolotl: " + Visible.of(message));
  }
}

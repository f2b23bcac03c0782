package io.xolotl.cli;

import java.io.BufferedWriter;
import java.io.IOException;
import java.io.OutputStream;
import java.io.OutputStreamWriter;
import java.io.PrintWriter;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.util.function.BooleanSupplier;

/**
 * What a command has around it.
 *
 * @param output standard output; the results, and nothing else, go there
 * @param messages standard error
 * @param terminal tells whether a person watches the output
 * @param interruption how a person, or the system, ends a command early
 */
record Shell(OutputStream output, PrintWriter messages, BooleanSupplier terminal, Interruption interruption) {

  /** Writes results. */
  interface Report {
    void writeTo(Writer out) throws IOException;
  }

  /** Writes results through a buffer that is empty when this returns. */
  void print(Report report) throws IOException {
    var writer = new BufferedWriter(new OutputStreamWriter(output, StandardCharsets.UTF_8));
    report.writeTo(writer);
    writer.flush();
  }

  /** Tells a person something that is no result. */
  void say(String message) {
    messages.println("xolotl: " + message);
  }
}

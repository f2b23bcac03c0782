package io.xolotl.cli;

import io.xolotl.ptrace.UserRegister;
import java.nio.charset.StandardCharsets;
import java.util.List;

/**
 * What stands between the numbers of a hit, ready to be copied: a hit is written while all of the process's
 * hits wait.
 *
 * @param prologue what stands before all hits
 * @param separator what stands between two hits
 * @param beforeTime what stands before the time, which is in seconds
 * @param timeWidth the least number of characters of the time, filled up with spaces on the left
 * @param beforeThread what stands before the thread's id
 * @param threadWidth the least number of characters of the thread's id
 * @param registers which registers
 * @param beforeRegisters what stands before each register's value
 * @param afterRegister what stands behind each register's value
 * @param end what stands behind a hit
 * @param isJson whether this is a JSON document
 */
record TraceFormat(byte[] prologue, byte[] separator, byte[] beforeTime, int timeWidth, byte[] beforeThread,
    int threadWidth, List<UserRegister> registers, List<byte[]> beforeRegisters, byte[] afterRegister,
    byte[] end,
    boolean isJson) {

  /** A line a hit, in columns. */
  static TraceFormat text(List<UserRegister> registers) {
    return new TraceFormat(bytes(""), bytes(""), bytes(""), 12, bytes(" "), 7, registers,
        registers.stream().map(register -> bytes(" " + Names.of(register) + '=')).toList(), bytes(""),
        bytes("\n"),
        false);
  }

  /** A document with a line a hit. */
  static TraceFormat json(List<UserRegister> registers) {
    return new TraceFormat(bytes("{\"hits\":[\n"), bytes(","), bytes("{\"time\":"), 0,
        bytes(",\"thread\":"), 0,
        registers, registers.stream().map(register -> bytes(
            (register == registers.getFirst() ? "" : ",") + JsonWriter.quoted(Names.of(register)) + ":\""))
            .toList(),
        bytes("\""), bytes("}}\n"), true);
  }

  /** How many lines there are before the first hit; each hit is one. */
  int linesBefore() {
    return isJson ? 1 : 0;
  }

  /** What stands behind the thread's id: the location. */
  byte[] place(String location) {
    return bytes(
        isJson
            ? ",\"location\":" + JsonWriter.quoted(location) + ",\"registers\":{"
            : " " + Visible.of(location));
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }
}

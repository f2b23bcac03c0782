package io.xolotl.lab;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.function.Consumer;

/**
 * Reads what a process writes. A process whose output nobody reads is blocked when the pipe is full, whatever
 * the test does meanwhile; so each stream has a thread of its own here.
 */
final class LineReader {

  private LineReader() {}

  /**
   * Starts the thread.
   *
   * @param name its name
   * @param stream where from
   * @param line is told of each line, in that thread
   * @param end is told, in that thread, when the stream has ended or was closed
   */
  static void start(String name, InputStream stream, Consumer<String> line, Runnable end) {
    Thread.ofPlatform().daemon().name(name).start(() -> {
      try (var reader = new BufferedReader(new InputStreamReader(stream, StandardCharsets.ISO_8859_1))) {
        reader.lines().forEach(line);
      } catch (IOException | UncheckedIOException e) {
        // The stream was closed below the reader, which is an end like any other.
      } finally {
        end.run();
      }
    });
  }
}

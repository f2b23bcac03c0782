package io.xolotl.xol.elf;

import io.xolotl.lab.Await;
import io.xolotl.ptrace.MemoryMapping;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * A program that runs while a test looks at it. It waits on its standard input and ends when the test closes
 * it.
 */
final class Target implements AutoCloseable, MemoryReader {
  private final Process process;
  private final BufferedReader output;

  private Target(Process process) {
    this.process = process;
    output = process.inputReader(StandardCharsets.UTF_8);
  }

  static Target start(List<String> command) throws IOException {
    return new Target(new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start());
  }

  static Target start(Path program, String... arguments) throws IOException {
    var command = new ArrayList<>(List.of(arguments));
    command.addFirst(program.toString());
    return start(command);
  }

  int pid() {
    return Math.toIntExact(process.pid());
  }

  /** Reads lines {@code name address} up to the line {@code ready}: what the program knows about itself. */
  Map<String, Long> truth() throws IOException {
    var result = new HashMap<String, Long>();
    for (String line = output.readLine(); !"ready".equals(line); line = output.readLine()) {
      if (line == null) {
        throw new IOException("the program ended too early");
      }
      String[] fields = line.split(" ");
      result.put(fields[0], Long.decode(fields[1]));
    }
    return result;
  }

  /** Lets the program go on to its next {@code ready}. */
  Map<String, Long> proceed() throws IOException {
    process.getOutputStream().write('\n');
    process.getOutputStream().flush();
    return truth();
  }

  /** Waits until the program is inside a system call: the way to meet a program that says nothing. */
  void awaitSystemCall(int number) {
    Path call = Path.of("/proc/" + pid() + "/syscall");
    Await.until(() -> {
      try {
        return Files.readString(call).startsWith(number + " ");
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }, () -> "system call " + number);
  }

  List<MemoryMapping> mappings() throws IOException {
    return MemoryMapping.of(pid());
  }

  SymbolResolver resolver() throws IOException {
    return new SymbolResolver(pid(), mappings(), this);
  }

  @Override
  public int read(long address, byte[] destination, int offset, int length) {
    try (var memory = new RandomAccessFile("/proc/" + pid() + "/mem", "r")) {
      memory.seek(address);
      return Math.max(0, memory.read(destination, offset, length));
    } catch (IOException e) {
      return 0;
    }
  }

  @Override
  public void close() throws IOException {
    output.close();
    process.destroyForcibly();
    try {
      process.waitFor();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}

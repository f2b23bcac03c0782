package consumer;

import io.xolotl.decoder.Decoder;
import io.xolotl.ptrace.LaunchRequest;
import io.xolotl.xol.Probe;
import io.xolotl.xol.ProbeRequest;
import io.xolotl.xol.ProbedProcess;
import io.xolotl.xol.ProcessEnd;
import java.io.IOException;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/**
 * Says by what an instruction is decoded, and counts the calls of malloc of a process: {@code mvn package}, then
 * {@code target/image/bin/consumer}.
 */
public final class DecodeAndCount {

  /** What the optional artifact has. */
  private static final String LIBRARY = "io/xolotl/zydis/linux-x86-64/libZydis.so";

  private DecodeAndCount() {}

  /** Prints a line about each, or fails if the process does not end as it does without probes. */
  public static void main(String... arguments) throws IOException {
    byte[] code = {0x48, (byte) 0x8d, 0x05, 0x10, 0, 0, 0};
    var decoder = Decoder.forThisCpu();
    var decoded = decoder.decode(code, 0x1000);
    System.out.println(decoded + " by " + decoder.implementation() + whereTheLibraryIs());

    // Written by the tracer thread, which runs all handlers of a session, and read once the process has
    // ended.
    var bytes = new long[1];
    try (var process = ProbedProcess.launch(LaunchRequest.of(List.of("ls", "/")))) {
      Probe malloc = process.register(
          ProbeRequest.at("libc.so.6", "malloc", hit -> bytes[0] += hit.registers().argument(0)));
      process.start();
      ProcessEnd end = process.end().join();
      if (!end.equals(new ProcessEnd.Exited(0)) || malloc.hits() == 0 || bytes[0] == 0) {
        throw new IllegalStateException(end + " after " + malloc.hits() + " calls of malloc");
      }
      System.out.println("ls: " + malloc.hits() + " calls of malloc, " + bytes[0] + " bytes");
    }
  }

  /** Where the native library is mapped from, and the resource that it comes from; empty if it is not loaded. */
  private static String whereTheLibraryIs() throws IOException {
    try (Stream<String> maps = Files.lines(Path.of("/proc/self/maps"))) {
      List<String> mapped = maps.filter(line -> line.contains("libZydis")).toList();
      URL resource = ClassLoader.getSystemResource(LIBRARY);
      if (mapped.isEmpty()) {
        return "";
      }
      // A memfd, without a file: what is loaded is a copy of the resource.
      String place = mapped.stream().allMatch(line -> line.contains("/memfd:libZydis.so")) ? "memory" : "a file";
      return ", in " + place + ", from " + resource;
    }
  }
}

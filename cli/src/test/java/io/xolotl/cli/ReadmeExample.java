package io.xolotl.cli;

import io.xolotl.ptrace.LaunchRequest;
import io.xolotl.xol.*;
import java.util.List;

class ReadmeExample {
  public static void main(String... args) {
    try (var process = ProbedProcess.launch(LaunchRequest.of(List.of("ls", "-l", "/")))) {
      Probe malloc = process.register(ProbeRequest.at("libc.so.6", "malloc",
          hit -> System.out.println("malloc of " + hit.argument(0) + " bytes")));
      process.start();
      process.end().join();
      System.out.println(malloc.hits() + " calls");
    }
  }
}

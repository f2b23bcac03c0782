package io.xolotl.xol.linking;

import io.xolotl.decoder.Decoder;
import io.xolotl.decoder.DecoderUnavailableException;
import io.xolotl.ptrace.LaunchRequest;
import io.xolotl.ptrace.PtraceException;
import io.xolotl.ptrace.Tracer;
import io.xolotl.xol.ProbeException;
import io.xolotl.xol.ProbeRequest;
import io.xolotl.xol.ProbedProcess;
import java.util.List;

/** Uses each module that calls native code, and prints what comes of it. */
final class NativeAccessAttempt {

  private NativeAccessAttempt() {}

  public static void main(String[] arguments) {
    try {
      System.out.println("decoder: " + Decoder.forThisCpu().decode(new byte[]{(byte) 0xc3}, 0));
    } catch (DecoderUnavailableException e) {
      System.out.println("decoder: " + e.reason() + " " + e.getMessage());
    }
    try (Tracer _ = Tracer.start("tracer")) {
      System.out.println("ptrace: started");
    } catch (PtraceException e) {
      System.out.println("ptrace: " + e.reason() + " " + e.getMessage());
    }
    try (ProbedProcess process = ProbedProcess.launch(LaunchRequest.of(List.of("true")))) {
      process.register(ProbeRequest.at("libc.so.6", "malloc", _ -> {}));
      System.out.println("xol: registered");
    } catch (ProbeException e) {
      System.out.println("xol: " + e.reason() + " " + e.getMessage());
    }
  }
}

package io.xolotl.cli;

import io.xolotl.decoder.Classification;
import io.xolotl.decoder.Decoder;
import io.xolotl.decoder.Outcome;
import io.xolotl.decoder.RelocationPolicy;
import io.xolotl.decoder.Technique;
import io.xolotl.lab.oracle.Displacer;
import io.xolotl.xol.ProbeException;
import io.xolotl.xol.ProbeRequest;
import io.xolotl.xol.ProbedProcess;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Displaces instructions by probes, in a session of its own each time.
 *
 * @param technique how the probed instructions are executed
 */
record ProbeDisplacer(Technique technique) implements Displacer {

  private static final int LONGEST = 15;

  @Override
  public Displacement displace(int pid, List<Long> addresses) {
    ProbedProcess process = ProbedProcess.attach(pid);
    try {
      var refusals = new HashMap<Long, Refusal>();
      register(process, worthwhile(process, addresses, refusals), refusals);
      return Displacer.displacement(refusals, process::close);
    } catch (RuntimeException | Error e) {
      process.close();
      throw e;
    }
  }

  /**
   * Leaves out what is refused, or always copied where it is to be emulated: finding out by trying takes
   * longer.
   */
  private List<ProbeRequest> worthwhile(ProbedProcess process, List<Long> addresses,
      Map<Long, Refusal> refusals) {
    var requests = new ArrayList<ProbeRequest>(addresses.size());
    for (long address : addresses) {
      byte[] code = process.memory().readText(address, LONGEST);
      Classification classification = Decoder.forThisCpu().classify(code, 0, code.length, address,
          RelocationPolicy.FULL);
      switch (classification) {
        case Classification.Refuse(var reason) ->
          refusals.put(address, new Refusal(Kind.REFUSED, reason.description()));
        case Classification.Accept accepted when technique == Technique.EMULATED
            && accepted.outcome() != Outcome.EMULATE ->
          refusals.put(address, new Refusal(Kind.NOT_APPLICABLE, "the instruction is not emulated"));
        case Classification.Accept _ ->
          requests.add(ProbeRequest.at(address, hit -> {}).trustingBoundary().with(technique));
      }
    }
    return requests;
  }

  /** All together, which is quick; where one is refused, half and half. */
  private static void register(ProbedProcess process, List<ProbeRequest> requests,
      Map<Long, Refusal> refusals) {
    if (requests.isEmpty()) {
      return;
    }
    try {
      process.register(requests);
    } catch (ProbeException e) {
      int half = requests.size() / 2;
      if (half > 0) {
        register(process, requests.subList(0, half), refusals);
        register(process, requests.subList(half, requests.size()), refusals);
        return;
      }
      Kind kind = switch (e.reason()) {
        case TECHNIQUE_NOT_APPLICABLE -> Kind.NOT_APPLICABLE;
        case INSTRUCTION_REFUSED, BREAKPOINT_EXISTS -> Kind.REFUSED;
        default -> throw e;
      };
      refusals.put(e.address().orElseThrow(), new Refusal(kind, String.valueOf(e.getMessage())));
    }
  }
}

package io.xolotl.cli;

import io.xolotl.xol.Probe;
import io.xolotl.xol.ProbeException;
import io.xolotl.xol.ProbeRequest;
import io.xolotl.xol.ProbedProcess;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * Those of many probes that were not refused.
 *
 * @param probes what is registered, in the order of the requests
 * @param refusals how many were refused for which reason
 */
record AcceptedProbes(List<Probe> probes, Map<ProbeException.Reason, Integer> refusals) {

  /** Registers what is accepted. */
  static AcceptedProbes register(ProbedProcess process, List<ProbeRequest> requests) {
    var accepted = new AcceptedProbes(new ArrayList<>(), new EnumMap<>(ProbeException.Reason.class));
    accepted.add(process, requests);
    return accepted;
  }

  /**
   * A set that is refused is halved until what is refused stands alone: most sets of most modules are
   * accepted whole.
   */
  private void add(ProbedProcess process, List<ProbeRequest> requests) {
    try {
      probes.addAll(process.register(requests));
    } catch (ProbeException e) {
      if (!concernsOneLocation(e.reason())) {
        throw e;
      }
      if (requests.size() == 1) {
        refusals.merge(e.reason(), 1, Integer::sum);
      } else {
        int half = requests.size() / 2;
        add(process, requests.subList(0, half));
        add(process, requests.subList(half, requests.size()));
      }
    }
  }

  private static boolean concernsOneLocation(ProbeException.Reason reason) {
    return switch (reason) {
      case MODULE_NOT_FOUND, MODULE_AMBIGUOUS, SYMBOL_NOT_FOUND, SYMBOL_AMBIGUOUS, NOT_A_FUNCTION,
          IFUNC_UNRESOLVED,
          ELF_UNREADABLE, ADDRESS_NOT_MAPPED, NOT_EXECUTABLE, SHARED_MEMORY, NOT_AN_INSTRUCTION_BOUNDARY,
          BOUNDARY_UNVERIFIED, BREAKPOINT_EXISTS, INSTRUCTION_REFUSED, TECHNIQUE_NOT_APPLICABLE,
          NO_XOL_SPACE, OTHER_CODE, CODE_CHANGED, RESTARTABLE_SEQUENCE, SIGNAL_TRAMPOLINE, SECCOMP ->
        true;
      case NATIVE_ACCESS_DENIED, DECODER_UNAVAILABLE, NO_SUCH_PROCESS, NOT_PERMITTED, KERNEL_THREAD, ZOMBIE,
          ALREADY_TRACED, OWN_PROCESS, CHILD_OF_THIS_JVM, ADDRESS_SPACE_SHARED, LAUNCH_FAILED,
          UNSUPPORTED_PROCESS, PROCESS_GONE,
          CLOSED, BREAKPOINT_LEFT, SYSTEM_ERROR ->
        false;
    };
  }

  /** The refusals for people. */
  String refusalsText() {
    return refusals.entrySet().stream().map(entry -> entry.getValue() + " " + Names.of(entry.getKey()))
        .collect(Collectors.joining(", "));
  }
}

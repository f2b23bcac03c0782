package io.xolotl.xol;

import java.util.List;

/**
 * What became of several requests.
 *
 * @param probes those that were accepted, in the order of the requests, with those that wait
 * @param waiting those of them whose place is not known yet
 * @param refused the others
 */
public record Registration(List<Probe> probes, List<Waiting> waiting, List<Refused> refused) {

  /**
   * A probe that waits, as its request allows.
   *
   * @param probe it becomes active when its place is known
   * @param why what is not there yet
   */
  public record Waiting(Probe probe, ProbeException why) {}

  /**
   * A request that was refused.
   *
   * @param request what was asked for
   * @param why what kept it from being done
   */
  public record Refused(ProbeRequest request, ProbeException why) {}
}

package io.xolotl.xol.site;

import io.xolotl.ptrace.RestartableSequence;
import io.xolotl.ptrace.TracedThread;
import io.xolotl.xol.code.TracerThread;
import java.util.function.BiConsumer;

/**
 * Ends the sites for which there is no place any more, since restartable sequences have become known: nobody
 * lists these all, so that some show only when a thread is in one. See {@link RestartableSequences}. Tracer
 * thread only.
 */
@TracerThread
public final class SequenceGuard {

  private static final String REMOVED = "; the probe is removed";

  private final Sites sites;
  private final RestartableSequences sequences;

  public SequenceGuard(Sites sites, RestartableSequences sequences) {
    this.sites = sites;
    this.sequences = sequences;
  }

  /** Takes note of what a stopped thread says of restartable sequences. */
  public void observe(TracedThread thread) {
    sequences.observe(thread);
  }

  /** The process executes another program. */
  public void forget() {
    sequences.forget();
  }

  /**
   * Looks whether sequences have become known.
   *
   * @param end is given each site to withdraw, and why
   */
  public void endInSequences(BiConsumer<Site, SiteException> end) {
    if (!sequences.takeNews()) {
      return;
    }
    for (Site site : sites.all()) {
      RestartableSequence sequence = sequences.containing(site.address());
      site.watched = !sequences.isFree(site.address());
      site.entersSequence = sequences.startsAt(site.instruction.nextAddress());
      if (sequence != null) {
        end.accept(site, sequences.refusal(sequence, site.address(), REMOVED));
      } else if (site.entersSequence
          && !RestartableSequences.isReachedFrom(site.technique(), site.effect())) {
        end.accept(site, RestartableSequences.cannotBeEntered(site.instruction, site.technique()));
      }
    }
  }

  /**
   * Ends the sites of a restartable sequence that a thread was found in by a hit, whether or not it can be
   * noted.
   *
   * @param end is given each site to withdraw, and why
   * @return true if the thread is in one, and can go on at the instruction: the kernel aborts it then
   */
  public boolean endInSequence(TracedThread thread, Site hit, BiConsumer<Site, SiteException> end) {
    RestartableSequence sequence = thread.restartableSequence();
    if (sequence == null || !sequence.contains(hit.address())) {
      return false;
    }
    for (Site site : sites.all()) {
      if (sequence.contains(site.address())) {
        end.accept(site, sequences.refusal(sequence, site.address(), REMOVED));
      }
    }
    return true;
  }
}

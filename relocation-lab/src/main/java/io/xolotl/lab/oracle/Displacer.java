package io.xolotl.lab.oracle;

import java.util.List;
import java.util.Map;

/**
 * What is tested: something that makes instructions of a running process execute elsewhere than in their
 * place.
 *
 * {@snippet :
 * Displacer engine = (pid, addresses) -> {
 *   attach(pid);
 *   addresses.forEach(this::probe);
 *   return Displacer.displacement(Map.of(), this::detach);
 * };
 * }
 */
@FunctionalInterface
public interface Displacer {

  /** Why an instruction is not displaced. */
  enum Kind {
    /** It cannot be. */
    REFUSED,
    /** Not in the way that is tested. */
    NOT_APPLICABLE
  }

  /**
   * One instruction that is not displaced.
   *
   * @param kind whether it could be in another way
   * @param reason for people
   */
  record Refusal(Kind kind, String reason) {}

  /** Instructions that are executed displaced until this is closed; their places are as before then. */
  interface Displacement extends AutoCloseable {

    /** {@return those that are not, by their addresses} */
    Map<Long, Refusal> refusals();

    @Override
    void close();
  }

  /**
   * Displaces instructions. The process waits meanwhile, and is no child of this JVM.
   *
   * @param pid the process; another one than before if that has died
   * @param addresses of the instructions, in its memory
   * @return what is displaced until it is closed
   */
  Displacement displace(int pid, List<Long> addresses);

  /**
   * {@return a displacement from its parts}
   *
   * @param refusals those instructions that are not displaced, by their addresses
   * @param undo what {@link Displacement#close} does
   */
  static Displacement displacement(Map<Long, Refusal> refusals, Runnable undo) {
    return new Displacement() {
      @Override
      public Map<Long, Refusal> refusals() {
        return refusals;
      }

      @Override
      public void close() {
        undo.run();
      }
    };
  }
}

package io.xolotl.lab.arbitraries;

import io.xolotl.lab.generation.Simplifier;
import io.xolotl.lab.oracle.Case;
import java.util.function.Function;
import java.util.stream.Stream;
import net.jqwik.api.Shrinkable;
import net.jqwik.api.ShrinkingDistance;

/**
 * A value that jqwik can shrink, because it is part of a case.
 *
 * @param subject the case
 * @param part what of the case the property is given
 */
record ShrinkableCase<T>(Case subject, Function<Case, T> part) implements Shrinkable<T> {

  @Override
  public T value() {
    return part.apply(subject);
  }

  @Override
  public Stream<Shrinkable<T>> shrink() {
    return Simplifier.simpler(subject).map(simpler -> new ShrinkableCase<>(simpler, part));
  }

  @Override
  public ShrinkingDistance distance() {
    return ShrinkingDistance.of(Simplifier.complexity(subject));
  }
}

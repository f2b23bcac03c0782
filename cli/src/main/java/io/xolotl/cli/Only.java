package io.xolotl.cli;

import io.xolotl.bench.HitExperiment;
import io.xolotl.bench.HitRow;
import io.xolotl.decoder.Technique;
import io.xolotl.xol.HandlerContext;
import java.util.Arrays;
import java.util.List;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Which measurements {@code --only} asks for: those that any of its patterns matches, or all if it has none.
 * A pattern is a glob, or several joined by slashes; each must match one of the names that a measurement has.
 */
final class Only implements Predicate<List<String>> {

  private record Choice(String text, List<Predicate<String>> parts) implements Predicate<List<String>> {
    static Choice of(String text) {
      return new Choice(text,
          Arrays.stream(text.split("/", -1)).map(Names::glob).map(Pattern::asMatchPredicate).toList());
    }

    @Override
    public boolean test(List<String> names) {
      return parts.stream().allMatch(part -> names.stream().anyMatch(part));
    }
  }

  private final List<Choice> choices;

  Only(List<String> patterns) {
    choices = patterns.stream().map(Choice::of).toList();
  }

  @Override
  public boolean test(List<String> names) {
    return choices.isEmpty() || choices.stream().anyMatch(choice -> choice.test(names));
  }

  /**
   * Requires that each pattern matches something.
   *
   * @param measurements the names of each thing that can be measured, that of the instruction first
   * @throws Failure if one does not, with what there is
   */
  void requireMatches(List<List<String>> measurements) {
    for (Choice choice : choices) {
      if (measurements.stream().noneMatch(choice)) {
        throw new Failure(("--only '%s' matches nothing: there are the instructions %s; the techniques %s, "
            + "where they apply; the contexts %s; the tracers %s; and %s, without a probe").formatted(
                choice.text(), joined(measurements.stream().map(List::getFirst).distinct()),
                joined(Stream.of(Technique.values()).map(Names::of)),
                joined(Stream.of(HandlerContext.values()).map(Names::of)),
                joined(HitExperiment.TRACERS.stream()), HitRow.NONE));
      }
    }
  }

  private static String joined(Stream<String> names) {
    return names.collect(Collectors.joining(", "));
  }
}

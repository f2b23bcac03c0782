package io.xolotl.bench;

import java.util.List;
import java.util.Optional;

/**
 * The results of a {@link HitExperiment}.
 *
 * @param environment where and when they were measured
 * @param rounds how often everything was measured
 * @param hitsPerRound how many hits a measurement had
 * @param rows the results, instruction by instruction
 * @param gdb the comparison with gdb, if there is a gdb
 */
public record HitReport(Environment environment, int rounds, long hitsPerRound, List<HitRow> rows,
    Optional<HitExperiment.Gdb> gdb) {}

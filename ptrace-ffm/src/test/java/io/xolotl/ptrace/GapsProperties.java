package io.xolotl.ptrace;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.Example;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;

/** Where memory can be mapped, in address spaces of all shapes. */
class GapsProperties {

  private static final long PAGE = 4096;
  private static final long END = 0x7fff_ffff_f000L;

  /** A mapping by the pages of the gap below it and its own, so that none overlap. */
  private record Piece(long gap, long size, String name) {}

  @Provide
  Arbitrary<List<MemoryMapping>> spaces() {
    Arbitrary<Long> gaps = Arbitraries.oneOf(Arbitraries.just(0L), Arbitraries.longs().between(1, 40),
        Arbitraries.longs().between(1, 1L << 20), Arbitraries.longs().between(1, 1L << 32));
    Arbitrary<Long> sizes = Arbitraries.longs().between(1, 1 << 12);
    Arbitrary<String> names = Arbitraries.of("", "/bin/x", "[heap]", "[stack]");
    return Combinators.combine(gaps, sizes, names).as(Piece::new).list().ofMaxSize(12).map(pieces -> {
      var mappings = new ArrayList<MemoryMapping>();
      long at = 0;
      for (Piece piece : pieces) {
        long start = at + piece.gap * PAGE;
        at = start + piece.size * PAGE;
        if (at <= END) {
          mappings.add(new MemoryMapping(start, at, "rw-p", 0, "00:00", 0, piece.name));
        }
      }
      mappings.add(MemoryMapping.parse("ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]"));
      return mappings;
    });
  }

  @Provide
  Arbitrary<Long> addresses() {
    return Arbitraries.longs().between(0, END);
  }

  @Property
  void candidatesAreFreeAlignedInReachAndSorted(@ForAll("spaces") List<MemoryMapping> space,
      @ForAll("addresses") long anywhere, @ForAll long seed) {
    long size = PAGE << Long.remainderUnsigned(seed, 6);
    long reach = (1L << 20) << Long.remainderUnsigned(seed >>> 8, 20);
    // Often near a mapping, as the code that is probed is.
    long near = (seed >>> 32 & 1) == 0 || space.size() == 1
        ? anywhere
        : space.get((int) Long.remainderUnsigned(seed >>> 16, space.size() - 1)).start();
    List<Long> candidates = Gaps.near(space, near, reach, size, END);
    long last = 0;
    for (long start : candidates) {
      long end = start + size;
      assertThat(start % PAGE).isZero();
      assertThat(start).isGreaterThanOrEqualTo(0x10000);
      assertThat(end).isLessThanOrEqualTo(END);
      assertThat(space)
          .allSatisfy(m -> assertThat(m.start() < 0 || end <= m.start() || m.end() <= start).isTrue());
      long distance = Math.max(Math.abs(near - start), Math.abs(end - near));
      assertThat(distance).isBetween(last, reach);
      last = distance;
    }
    assertThat(candidates).doesNotHaveDuplicates();
  }

  @Property
  void anyRoomWithinReachIsFound(@ForAll("spaces") List<MemoryMapping> space,
      @ForAll("addresses") long near) {
    long reach = 1L << 31;
    boolean room = false;
    long low = 0x10000;
    for (MemoryMapping m : space) {
      long high = m.start() < 0 ? END : m.start();
      long first = Math.max(low, near - reach + PAGE - 1 & -PAGE);
      room |= first + PAGE <= Math.min(high, near + reach);
      low = Math.max(low, m.end());
    }
    assertThat(Gaps.near(space, near, reach, PAGE, END).isEmpty()).isEqualTo(!room);
  }

  private static MemoryMapping mapping(long start, long end, String name) {
    return new MemoryMapping(start, end, "rw-p", 0, "00:00", 0, name);
  }

  @Example
  void heapKeepsTheRoomAboveIt() {
    var space = List.of(mapping(0x10000, 0x500000, "/bin/x"), mapping(0x500000, 0x600000, "[heap]"),
        mapping(0x40000000, 0x40100000, "/lib/y"));
    assertThat(Gaps.near(space, 0x400000, 1L << 31, 0x10000, END)).startsWith(0x40000000L - 0x10000);
    // As far away as it may be, if the gap is larger than the reach.
    assertThat(Gaps.near(space, 0x400000, 0x1000000, 0x10000, END)).containsExactly(0x1400000L - 0x10000);
  }

  @Example
  void stackKeepsTheRoomBelowIt() {
    var space = List.of(mapping(0x10000, 0x500000, "/bin/x"), mapping(0x40000000, END, "[stack]"));
    assertThat(Gaps.near(space, 0x40000100L, 1L << 31, 0x10000, END)).containsExactly(0x500000L);
    assertThat(Gaps.near(space, 0x40000100L, 0x1000000, 0x10000, END)).containsExactly(0x3f001000L);
  }

  @Example
  void betweenHeapAndStackIsTheMiddle() {
    var space = List.of(mapping(0x10000, 0x400000, "[heap]"), mapping(0x1000000, END, "[stack]"));
    assertThat(Gaps.near(space, 0x300000, 1L << 31, 0x10000, END)).singleElement()
        .satisfies(start -> assertThat(start).isBetween(0x800000L, 0xc00000L));
  }

  @Example
  void nothingFitsInAFullSpace() {
    assertThat(Gaps.near(List.of(mapping(0x10000, END, "/x")), 0x20000, 1L << 31, PAGE, END)).isEmpty();
  }
}

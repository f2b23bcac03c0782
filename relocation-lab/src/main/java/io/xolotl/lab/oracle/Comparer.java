package io.xolotl.lab.oracle;

import io.xolotl.lab.oracle.XsaveImage.LastX87;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.function.LongFunction;

/** Finds what differs between two results of a case. */
final class Comparer {

  private final Case subject;
  private final Result first;
  private final Result second;
  private final List<Difference> found = new ArrayList<>();

  private Comparer(Case subject, Result first, Result second) {
    this.subject = subject;
    this.first = first;
    this.second = second;
  }

  /** What differs, each register and each word of memory once; empty if nothing does. */
  static List<Difference> differences(Case subject, Result first, Result second, XsaveImage image) {
    if (!first.ending().equals(second.ending())) {
      var all = new ArrayList<>(
          List.of(new Difference("ending", first.ending().toString(), second.ending().toString())));
      if (first.hasState() && second.hasState()) {
        all.addAll(new Comparer(subject, first, second).compare(image));
      }
      return all;
    }
    return first.hasState() ? new Comparer(subject, first, second).compare(image) : List.of();
  }

  private List<Difference> compare(XsaveImage image) {
    for (int i = 0; i < MachineState.GENERAL.size(); i++) {
      compare(MachineState.GENERAL.get(i), first.general(i), second.general(i), Hex::of);
    }
    compare("flags", first.flags(), second.flags(), Flags::text);
    compare("fs_base", first.fsBase(), second.fsBase(), Hex::of);
    compare("gs_base", first.gsBase(), second.gsBase(), Hex::of);
    compare("ds, es, fs, gs", first.selectors(), second.selectors(), Hex::of);
    compareVectors(image);
    compareMemory();
    return found;
  }

  private void compare(String what, long a, long b, LongFunction<String> text) {
    if (a != b) {
      found.add(new Difference(what, text.apply(a), text.apply(b)));
    }
  }

  private void compareVectors(XsaveImage image) {
    byte[] a = Arrays.copyOf(first.record(), Layout.XSAVE_IMAGE + Layout.XSAVE_BYTES);
    byte[] b = Arrays.copyOf(second.record(), Layout.XSAVE_IMAGE + Layout.XSAVE_BYTES);
    LastX87 compared = comparedOfLastX87(Layout.quad(a, Layout.XSAVE_IMAGE + XsaveImage.X87_FIP));
    image.normalize(a, compared);
    image.normalize(b, compared);
    String last = "";
    int from = Layout.XSAVE_IMAGE;
    int at = Arrays.mismatch(a, from, a.length, b, from, b.length);
    if (at < 0) {
      return;
    }
    VectorRegisters before = first.vectors();
    VectorRegisters after = second.vectors();
    for (int i = at; i < Layout.XSAVE_BYTES; i++) {
      String name = a[from + i] == b[from + i] ? last : image.nameOf(i);
      if (!name.equals(last) && found.stream().noneMatch(d -> d.what().equals(name))) {
        found.add(new Difference(name, valueOf(name, before, a, i), valueOf(name, after, b, i)));
      }
      last = name;
    }
  }

  /**
   * The CPU remembers the address of the copy where an instruction was displaced. Behind another
   * instruction some CPUs remember nothing, if there was a context switch in between.
   */
  private LastX87 comparedOfLastX87(long address) {
    if (subject.instructions().size() > 1) {
      return LastX87.NOTHING;
    }
    boolean ours = address >= subject.address() && address < subject.address() + subject.length();
    return ours ? LastX87.EXCEPT_ADDRESS : LastX87.ALL;
  }

  private static String valueOf(String name, VectorRegisters state, byte[] record, int offset) {
    if (name.startsWith("zmm")) {
      return "0x" + Hex.reversed(state.vector(Integer.parseInt(name.substring(3))));
    }
    if (name.startsWith("st")) {
      return "0x" + Hex.reversed(state.x87(Integer.parseInt(name.substring(2))));
    }
    if (name.startsWith("k")) {
      return Hex.of(state.mask(Integer.parseInt(name.substring(1))));
    }
    return Hex.of(Layout.quad(record, Layout.XSAVE_IMAGE + (offset & -8))) + " at " + (offset & -8);
  }

  private void compareMemory() {
    byte[] a = first.record();
    byte[] b = second.record();
    int at = Arrays.mismatch(a, Layout.REGIONS, a.length, b, Layout.REGIONS, b.length);
    if (at < 0) {
      return;
    }
    for (int i = Layout.REGIONS + (at & -8); i < a.length; i += 8) {
      if (Layout.quad(a, i) != Layout.quad(b, i)) {
        int word = i - Layout.REGIONS;
        String what = Region.values()[word / Region.BYTES] + "+" + Hex.of(word % Region.BYTES);
        found.add(new Difference(what, Hex.of(Layout.quad(a, i)), Hex.of(Layout.quad(b, i))));
      }
    }
  }

  /** The differences that are not also between results that should be the same. */
  static List<Difference> without(List<Difference> differences, List<Difference> noise) {
    return differences.stream().filter(d -> noise.stream().noneMatch(n -> Objects.equals(n.what(), d.what())))
        .toList();
  }
}

package io.xolotl.lab.generation;

import io.xolotl.decoder.DecodedInstruction;
import io.xolotl.decoder.Decoder;
import io.xolotl.decoder.Decoding;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.random.RandomGenerator;

/**
 * Draws valid instructions: first a mnemonic, then one of its encodings, all alike, then what the encoding
 * leaves open: registers, ModRM and SIB forms, displacements, immediates, the fields of VEX and EVEX, and
 * further prefixes. Immutable.
 */
public final class InstructionGenerator {

  private static final int ATTEMPTS = 200;

  private final InstructionSet set = InstructionSet.ofThisCpu();
  private final Decoder decoder = Decoder.forThisCpu();
  private final List<Group> groups;
  private final int weight;

  /** Mnemonics that are drawn alike. */
  private record Group(List<String> mnemonics, int weight) {}

  private InstructionGenerator(List<Group> groups) {
    this.groups = groups;
    weight = groups.stream().mapToInt(Group::weight).sum();
    if (weight <= 0 || groups.stream().anyMatch(group -> group.weight < 0)) {
      throw new IllegalArgumentException("nothing to draw from");
    }
  }

  /** {@return a generator that draws from all instructions that the decoder knows, all mnemonics alike} */
  public static InstructionGenerator ofAll() {
    return of(mnemonicsOfAll());
  }

  /**
   * Draws from some instructions, all mnemonics alike.
   *
   * @param mnemonics at least one, as {@link DecodedInstruction#mnemonic} names them
   * @return the generator
   * @throws IllegalArgumentException if one of them is not known
   */
  public static InstructionGenerator of(Collection<String> mnemonics) {
    for (String mnemonic : mnemonics) {
      if (InstructionSet.ofThisCpu().forms(mnemonic).isEmpty()) {
        throw new IllegalArgumentException("there is no instruction '" + mnemonic + "'");
      }
    }
    return new InstructionGenerator(
        mnemonics.isEmpty() ? List.of() : List.of(new Group(List.copyOf(mnemonics), 1)));
  }

  /**
   * Draws from some classes of instructions; the mnemonics of a class are drawn alike.
   *
   * @param weights how often each class is drawn in relation to the others, by its name
   * @return the generator
   * @throws IllegalArgumentException if a class is not known, a weight is negative, or none is positive
   */
  public static InstructionGenerator byClass(Map<String, Integer> weights) {
    var groups = new ArrayList<Group>();
    weights.forEach((name, weight) -> {
      SortedSet<String> mnemonics = InstructionSet.ofThisCpu().byCategory().get(name);
      if (mnemonics == null) {
        throw new IllegalArgumentException("there is no class '" + name + "' of instructions");
      }
      groups.add(new Group(List.copyOf(mnemonics), weight));
    });
    return new InstructionGenerator(groups);
  }

  /** {@return all mnemonics that can be drawn, as {@link DecodedInstruction#mnemonic} names them} */
  public static SortedSet<String> mnemonicsOfAll() {
    return InstructionSet.ofThisCpu().mnemonics();
  }

  /** {@return all classes of instructions, as {@link DecodedInstruction#category} names them} */
  public static SortedSet<String> classes() {
    return new TreeSet<>(InstructionSet.ofThisCpu().byCategory().keySet());
  }

  /** {@return the mnemonics that this draws from} */
  public SortedSet<String> mnemonics() {
    var all = new TreeSet<String>();
    groups.forEach(group -> all.addAll(group.mnemonics));
    return all;
  }

  /**
   * Draws an instruction.
   *
   * @param random where from
   * @param address where it will be
   * @return an instruction with a mnemonic of this generator
   */
  public DecodedInstruction draw(RandomGenerator random, long address) {
    while (true) {
      List<String> mnemonics = group(random).mnemonics;
      String mnemonic = mnemonics.get(random.nextInt(mnemonics.size()));
      List<Form> forms = set.forms(mnemonic);
      for (int i = 0; i < ATTEMPTS; i++) {
        byte[] code = forms.get(random.nextInt(forms.size())).draw(random);
        Decoding decoding = decoder.decode(code, address);
        if (decoding instanceof DecodedInstruction instruction && instruction.mnemonic().equals(mnemonic)) {
          return instruction;
        }
      }
    }
  }

  private Group group(RandomGenerator random) {
    int rest = random.nextInt(weight);
    for (Group group : groups) {
      rest -= group.weight;
      if (rest < 0) {
        return group;
      }
    }
    throw new AssertionError("the weights are positive together");
  }
}

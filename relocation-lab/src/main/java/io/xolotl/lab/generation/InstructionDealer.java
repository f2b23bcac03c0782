package io.xolotl.lab.generation;

import io.xolotl.decoder.DecodedInstruction;
import io.xolotl.decoder.Decoder;
import io.xolotl.decoder.Decoding;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.SortedMap;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.random.RandomGenerator;

/**
 * Deals instructions in turn. At first each encoding of each mnemonic some times, one after the other: that
 * is the survey, from which it is known what this CPU lacks. Then all mnemonics one after the other, and of
 * each its encodings one after the other, those that are lacking seldom. What an encoding leaves open is
 * drawn. The table {@code deal.txt} says which mnemonics are dealt more often, and which not at all.
 * Immutable.
 */
public final class InstructionDealer {

  private static final int ATTEMPTS = 100;
  /** How often each encoding is dealt in the survey. */
  private static final int SURVEYS = 3;
  /** How many times as often as others lacking encodings, and mnemonics that have no others, are dealt. */
  private static final int SELDOM = 16;
  private static final String TABLE = "deal.txt";

  private final InstructionSet set = InstructionSet.ofThisCpu();
  private final Decoder decoder = Decoder.forThisCpu();
  private final SortedMap<String, Integer> weights;
  private final SortedSet<String> varying;
  private final SortedMap<String, String> leftOut;
  private final SortedMap<String, String> neverOut;
  /** All that is dealt, once. */
  private final List<Choice> choices;
  private final Set<Choice> lacking;
  /** Each mnemonic as often as its weight says. */
  private final List<Turn> turns;

  /**
   * A mnemonic and one of its encodings.
   *
   * @param mnemonic the name
   * @param form the number of the encoding
   */
  public record Choice(String mnemonic, int form) {}

  /** The {@code ordinal}-th of {@code weight} turns that a mnemonic has in a round. */
  private record Turn(Forms forms, int ordinal, int weight) {}

  /** The encodings of a mnemonic that are dealt in turn, and those that are dealt seldom. */
  private record Forms(List<Choice> common, List<Choice> rare) {
    Choice choose(long sequence) {
      List<Choice> from = common.isEmpty() || !rare.isEmpty() && sequence % SELDOM == SELDOM - 1
          ? rare
          : common;
      long number = from == rare && !common.isEmpty() ? sequence / SELDOM : sequence;
      return from.get((int) (number % from.size()));
    }
  }

  private InstructionDealer(SortedMap<String, Integer> weights, SortedSet<String> varying,
      SortedMap<String, String> leftOut, SortedMap<String, String> neverOut, Set<Choice> lacking) {
    this.weights = weights;
    this.varying = varying;
    this.leftOut = leftOut;
    this.neverOut = neverOut;
    this.lacking = lacking;
    var all = new ArrayList<Choice>();
    var forms = new TreeMap<String, Forms>();
    for (String mnemonic : weights.keySet()) {
      var ofMnemonic = new ArrayList<Choice>();
      for (int i = 0; i < set.forms(mnemonic).size(); i++) {
        ofMnemonic.add(new Choice(mnemonic, i));
      }
      all.addAll(ofMnemonic);
      forms.put(mnemonic, new Forms(ofMnemonic.stream().filter(choice -> !lacking.contains(choice)).toList(),
          ofMnemonic.stream().filter(lacking::contains).toList()));
    }
    // Each mnemonic once, and so on, so that a short survey has seen all of them.
    all.sort(Comparator.comparingInt(Choice::form));
    choices = List.copyOf(all);
    turns = turns(weights, forms);
  }

  private static List<Turn> turns(Map<String, Integer> weights, Map<String, Forms> forms) {
    boolean none = forms.values().stream().allMatch(of -> of.common.isEmpty());
    var all = new ArrayList<Turn>();
    forms.forEach((mnemonic, of) -> {
      int weight = none || !of.common.isEmpty() ? weights.getOrDefault(mnemonic, 1) * SELDOM : 1;
      for (int i = 0; i < weight; i++) {
        all.add(new Turn(of, i, weight));
      }
    });
    // Each mnemonic once, and so on: the sort is stable.
    all.sort(Comparator.comparingInt(Turn::ordinal));
    return List.copyOf(all);
  }

  private static InstructionDealer ofTable(Collection<String> mnemonics) {
    var weights = new TreeMap<String, Integer>();
    var varying = new TreeSet<String>();
    var leftOut = new TreeMap<String, String>();
    var neverOut = new TreeMap<String, String>();
    mnemonics.forEach(mnemonic -> weights.put(mnemonic, 1));
    for (String line : lines()) {
      String[] words = line.split(" ", 2);
      String[] parts = words[1].split(": ", 2);
      String mnemonic = parts[0];
      switch (words[0]) {
        case "out" -> {
          if (weights.remove(mnemonic) != null) {
            leftOut.put(mnemonic, parts[1]);
          }
        }
        case "never" -> neverOut.put(mnemonic, parts[1]);
        case "varies" -> varying.add(mnemonic);
        default -> weights.computeIfPresent(mnemonic, (_, _) -> Integer.parseInt(words[0]));
      }
    }
    return new InstructionDealer(weights, varying, leftOut, neverOut, Set.of());
  }

  /**
   * {@return a dealer of the same mnemonics that knows what the survey has shown}
   *
   * @param rare encodings that have raised nothing but SIGILL
   */
  public InstructionDealer lacking(Set<Choice> rare) {
    return new InstructionDealer(weights, varying, leftOut, neverOut, Set.copyOf(rare));
  }

  /** {@return how many deals the survey has} */
  public long surveyed() {
    return lacking.isEmpty() ? (long) SURVEYS * choices.size() : 0;
  }

  private static List<String> lines() {
    try (InputStream in = InstructionDealer.class.getResourceAsStream(TABLE)) {
      if (in == null) {
        throw new IllegalStateException(TABLE + " is missing");
      }
      return new String(in.readAllBytes(), StandardCharsets.UTF_8).lines()
          .filter(line -> !line.isBlank() && !line.startsWith("#")).toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** {@return a dealer of all mnemonics but those that the table leaves out} */
  public static InstructionDealer ofAll() {
    return ofTable(InstructionGenerator.mnemonicsOfAll());
  }

  /**
   * {@return a dealer of some mnemonics}
   *
   * @param mnemonics as {@link DecodedInstruction#mnemonic} names them
   * @throws IllegalArgumentException if one of them is not known, or all are left out
   */
  public static InstructionDealer of(Collection<String> mnemonics) {
    for (String mnemonic : mnemonics) {
      if (InstructionSet.ofThisCpu().forms(mnemonic).isEmpty()) {
        throw new IllegalArgumentException("there is no instruction '" + mnemonic + "'");
      }
    }
    InstructionDealer dealer = ofTable(mnemonics);
    if (dealer.turns.isEmpty()) {
      throw new IllegalArgumentException("not executed: " + dealer.leftOut);
    }
    return dealer;
  }

  /** {@return the mnemonics that are dealt} */
  public SortedSet<String> mnemonics() {
    return new TreeSet<>(weights.keySet());
  }

  /** {@return the mnemonics that are never dealt, and why} */
  public SortedMap<String, String> leftOut() {
    return new TreeMap<>(leftOut);
  }

  /** {@return the mnemonics that never come out where they are executed, and why} */
  public SortedMap<String, String> neverOut() {
    return new TreeMap<>(neverOut);
  }

  /**
   * {@return true if an instruction does something else each time or on each CPU}
   *
   * @param instruction one that was dealt
   */
  public boolean varies(DecodedInstruction instruction) {
    return varying.contains(instruction.mnemonic());
  }

  /**
   * {@return what is dealt}
   *
   * @param number of the deal, from 0; behind the survey it is of no use before {@link #lacking} was asked
   * @param attempt from 0, to have another encoding of the same mnemonic
   */
  public Choice choose(long number, int attempt) {
    if (number < (long) SURVEYS * choices.size()) {
      Choice choice = choices.get((int) (number % choices.size()));
      return new Choice(choice.mnemonic, (choice.form + attempt) % set.forms(choice.mnemonic).size());
    }
    long behind = number - (long) SURVEYS * choices.size();
    Turn turn = turns.get((int) (behind % turns.size()));
    return turn.forms.choose(behind / turns.size() * turn.weight + turn.ordinal + attempt);
  }

  /**
   * Draws an instruction, of which displacements of operands and branches lead somewhere.
   *
   * @param choice mnemonic and encoding
   * @param random what else is drawn from
   * @param address where the instruction will be
   * @param taken how far behind the instruction most of its branches lead
   * @return the instruction; empty if the encoding has none with the mnemonic
   */
  public Optional<DecodedInstruction> draw(Choice choice, RandomGenerator random, long address, int taken) {
    Form form = set.forms(choice.mnemonic).get(choice.form);
    for (int i = 0; i < ATTEMPTS; i++) {
      Decoding decoding = decoder.decode(form.draw(random), address);
      if (decoding instanceof DecodedInstruction instruction
          && instruction.mnemonic().equals(choice.mnemonic)) {
        return Optional.of(CaseGenerator.aim(instruction, address, taken, random));
      }
    }
    return Optional.empty();
  }

  /**
   * What decides how an instruction is relocated and executed: mnemonic, encoding, sizes, prefixes, and the
   * kinds of its operands.
   *
   * @param instruction an instruction
   * @return the same text for instructions that are alike
   */
  public static String form(DecodedInstruction instruction) {
    var form = new StringBuilder(instruction.mnemonic()).append(' ').append(instruction.encoding())
        .append(instruction.operandSize()).append(instruction.addressSize() == 32 ? "a" : "")
        .append(instruction.isLocked() ? "L" : "").append(instruction.isRepeated() ? "R" : "");
    for (var operand : instruction.operands()) {
      form.append(' ').append(OperandForm.of(operand)).append(operand.widthBits());
    }
    return form.toString();
  }
}

package io.xolotl.decoder;

import io.xolotl.decoder.zydis.Zydis;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.IntFunction;

/**
 * What Zydis' numbers mean. The numbers of mnemonics, categories and instruction sets differ between Zydis
 * 4.0 and 4.1, so everything is looked up by name, once.
 *
 * @param mnemonics names by number
 * @param rules how to relocate, by a mnemonic's number
 * @param categories names by number
 * @param isaSets names by number
 * @param registers by number; number 0 stands for none
 * @param gprMasks by a register's number: the bit of the 64-bit general register that it is a part of, or 0
 * @param formatter for Intel syntax; Zydis only reads it
 */
record ZydisTables(List<String> mnemonics, List<Rule> rules, List<String> categories, List<String> isaSets,
    List<Register> registers, List<Integer> gprMasks, MemorySegment formatter) {

  /** Requires that the library is loaded. */
  static ZydisTables read() {
    List<String> mnemonics = names(Zydis::ZydisMnemonicGetString);
    List<Register> registers = readRegisters();
    MemorySegment formatter = Arena.ofAuto().allocate(ZydisStructs.FORMATTER_SIZE, 8);
    requireSuccess(Zydis.ZydisFormatterInit(formatter, Zydis.ZYDIS_FORMATTER_STYLE_INTEL()));
    return new ZydisTables(mnemonics, mnemonics.stream().map(Rule::of).toList(),
        names(Zydis::ZydisCategoryGetString), names(Zydis::ZydisISASetGetString), registers,
        registers.stream().map(register -> register.gpr().map(gpr -> 1 << gpr.index()).orElse(0)).toList(),
        formatter);
  }

  static void requireSuccess(int status) {
    if (status < 0) {
      throw new IllegalStateException("Zydis failed with status 0x%x".formatted(status));
    }
  }

  private static List<String> names(IntFunction<MemorySegment> name) {
    var names = new ArrayList<String>();
    for (MemorySegment s = name.apply(0); s.address() != 0; s = name.apply(names.size())) {
      names.add(s.getString(0).toLowerCase(Locale.ROOT));
    }
    return List.copyOf(names);
  }

  private static List<Register> readRegisters() {
    int mode = Zydis.ZYDIS_MACHINE_MODE_LONG_64();
    var registers = new ArrayList<Register>();
    for (String name : names(Zydis::ZydisRegisterGetString)) {
      int number = registers.size();
      int largest = Zydis.ZydisRegisterGetLargestEnclosing(mode, number);
      boolean general = largest >= Zydis.ZYDIS_REGISTER_RAX() && largest <= Zydis.ZYDIS_REGISTER_R15();
      // The number in the encoding is asked of the 64-bit register: that of ah is 4, as is that of rsp.
      Optional<Gpr> gpr = general ? Optional.of(Gpr.of(Zydis.ZydisRegisterGetId(largest))) : Optional.empty();
      registers.add(new Register(name, Zydis.ZydisRegisterGetWidth(mode, number), gpr));
    }
    return List.copyOf(registers);
  }
}

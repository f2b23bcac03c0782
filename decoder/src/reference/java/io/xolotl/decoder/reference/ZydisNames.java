package io.xolotl.decoder.reference;

import io.xolotl.decoder.backend.Names;
import io.xolotl.decoder.backend.Names.RegisterName;
import io.xolotl.decoder.zydis.Zydis;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.IntFunction;

/**
 * What Zydis' numbers stand for, asked once: those of mnemonics, categories and instruction sets differ
 * between Zydis 4.0 and 4.1.
 *
 * @param names by number
 * @param formatter for Intel syntax; Zydis only reads it
 */
record ZydisNames(Names names, MemorySegment formatter) {

  /** Requires that the library is loaded. */
  static ZydisNames read() {
    MemorySegment formatter = Arena.ofAuto().allocate(ZydisStructs.FORMATTER_SIZE, 8);
    requireSuccess(Zydis.ZydisFormatterInit(formatter, Zydis.ZYDIS_FORMATTER_STYLE_INTEL()));
    return new ZydisNames(
        new Names(names(Zydis::ZydisMnemonicGetString), names(Zydis::ZydisCategoryGetString),
            names(Zydis::ZydisISASetGetString), readRegisters()),
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

  private static List<RegisterName> readRegisters() {
    int mode = Zydis.ZYDIS_MACHINE_MODE_LONG_64();
    var registers = new ArrayList<RegisterName>();
    for (String name : names(Zydis::ZydisRegisterGetString)) {
      int number = registers.size();
      int largest = Zydis.ZydisRegisterGetLargestEnclosing(mode, number);
      boolean general = largest >= Zydis.ZYDIS_REGISTER_RAX() && largest <= Zydis.ZYDIS_REGISTER_R15();
      // The number in the encoding is asked of the 64-bit register: that of ah is 4, as is that of rsp.
      registers.add(new RegisterName(name, Zydis.ZydisRegisterGetWidth(mode, number),
          general ? Zydis.ZydisRegisterGetId(largest) : -1));
    }
    return List.copyOf(registers);
  }
}

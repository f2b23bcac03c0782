package io.xolotl.xol.site;

import io.xolotl.decoder.RelocationPolicy;
import io.xolotl.decoder.Technique;
import io.xolotl.xol.elf.FunctionRange;
import java.util.Optional;

/**
 * Where an instruction is to be displaced, and on what terms.
 *
 * @param address of the instruction
 * @param function the function there, if a symbol tells
 * @param policy whether the copy may be changed
 * @param technique how it must be executed; empty to choose
 * @param trusted whether to accept the address though no symbol proves that an instruction starts there
 */
public record Place(long address, Optional<FunctionRange> function, RelocationPolicy policy,
    Optional<Technique> technique, boolean trusted) {}

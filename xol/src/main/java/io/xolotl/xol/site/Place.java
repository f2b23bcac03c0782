package io.xolotl.xol.site;

import io.xolotl.decoder.RelocationPolicy;
import io.xolotl.decoder.Technique;
import io.xolotl.xol.elf.Boundary;
import java.util.Optional;

/**
 * Where an instruction is to be displaced, and on what terms.
 *
 * @param address of the instruction
 * @param boundary whether an instruction starts there, as far as the module's file shows
 * @param policy whether the copy may be changed
 * @param technique how it must be executed; empty to choose
 * @param trusted whether to accept the address though nothing proves that an instruction starts there
 */
public record Place(long address, Boundary boundary, RelocationPolicy policy,
    Optional<Technique> technique, boolean trusted) {}

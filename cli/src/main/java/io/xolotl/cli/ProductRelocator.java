package io.xolotl.cli;

import io.xolotl.decoder.DecodedInstruction;
import io.xolotl.lab.oracle.CodeRelocator;
import io.xolotl.lab.oracle.RelocatedCode;
import io.xolotl.xol.Relocation;
import java.util.Optional;

/** The relocator that is used for probes. */
final class ProductRelocator implements CodeRelocator {

  @Override
  public Optional<RelocatedCode> relocate(DecodedInstruction instruction, long address) {
    return Relocation.of(instruction, address).map(relocation -> RelocatedCode.of(relocation.code(),
        offset -> fault(relocation, offset)));
  }

  private static RelocatedCode.Fault fault(Relocation relocation, int offset) {
    Relocation.Fault fault = relocation.fault(offset);
    return new RelocatedCode.Fault((int) (fault.address() - relocation.instruction().address()),
        fault.stackBytes());
  }
}

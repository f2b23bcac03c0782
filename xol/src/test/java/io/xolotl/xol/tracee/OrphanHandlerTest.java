package io.xolotl.xol.tracee;

import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.decoder.DecodedInstruction;
import io.xolotl.decoder.Decoder;
import io.xolotl.decoder.MachineMode;
import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The machine code of the handler is what its listing says. */
class OrphanHandlerTest {

  private static final int TEXT = 31;

  @Test
  void bytesAreTheInstructionsBesideThem() {
    int address = 0;
    List<String> listing = OrphanHandler.listing();
    for (String line : listing) {
      byte[] bytes = HexFormat.of().parseHex(line.substring(0, TEXT).replace(" ", ""));
      String text = line.substring(TEXT).replaceAll(" *;.*", "");
      var instruction = (DecodedInstruction) Decoder.forThisCpu(MachineMode.LONG_64).decode(bytes, address);
      assertThat(instruction.length()).as(line).isEqualTo(bytes.length);
      assertThat(instruction.text()).isEqualTo(text);
      address += bytes.length;
    }
    assertThat(listing).hasSizeGreaterThan(90);
  }
}

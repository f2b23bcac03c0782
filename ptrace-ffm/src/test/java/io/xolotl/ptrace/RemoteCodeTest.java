package io.xolotl.ptrace;

import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.decoder.DecodedInstruction;
import io.xolotl.decoder.Decoder;
import io.xolotl.decoder.MachineMode;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.HexFormat;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Code that makes a call and finds back by itself is what its listing says, and has what it needs. */
class RemoteCodeTest {

  private static final int TEXT = 31;
  private static final int DATA = 0x70;

  @Test
  void bytesAreTheInstructionsBesideThem() {
    int address = 0;
    byte[] image = RemoteCode.of(new Registers(), 0, 219);
    for (String line : RemoteCode.listing()) {
      byte[] bytes = HexFormat.of().parseHex(line.substring(0, TEXT).replace(" ", ""));
      var instruction = (DecodedInstruction) Decoder.forThisCpu(MachineMode.LONG_64).decode(bytes, address);
      assertThat(instruction.length()).as(line).isEqualTo(bytes.length);
      assertThat(instruction.text()).isEqualTo(line.substring(TEXT));
      assertThat(image).containsSubsequence(bytes);
      address += bytes.length;
    }
    assertThat(address).isBetween(100, DATA);
    assertThat(image).hasSize(RemoteCode.BYTES);
  }

  /** A call that the thread was interrupted in is made again; of one that has returned nothing is. */
  @ParameterizedTest
  @CsvSource({"0, -512, 998, 0", "7, -513, 998, 7", "230, -514, 998, 230", "230, -516, 998, 219",
      "-1, -512, 1000, -512",
      "0, -4, 1000, -4", "1, 100, 1000, 100"})
  void interruptedCallsAreRestarted(long call, long result, long rip, long rax) {
    var registers = new Registers();
    for (UserRegister register : UserRegister.values()) {
      registers.set(register, 100 + register.ordinal());
    }
    registers.set(UserRegister.ORIG_RAX, call);
    registers.rax(result);
    registers.rip(1000);
    ByteBuffer data = ByteBuffer.wrap(RemoteCode.of(registers, 0x1234, 219)).order(ByteOrder.LITTLE_ENDIAN)
        .position(DATA);
    assertThat(data.getLong()).isEqualTo(0x1234);
    assertThat(data.getLong()).isEqualTo(rax);
    for (UserRegister register : new UserRegister[]{UserRegister.RCX, UserRegister.RDX, UserRegister.RSI,
        UserRegister.RDI, UserRegister.R8, UserRegister.R9, UserRegister.R10, UserRegister.R11}) {
      assertThat(data.getLong()).as(register.name()).isEqualTo(registers.get(register));
    }
    assertThat(data.getLong()).isEqualTo(rip);
  }
}

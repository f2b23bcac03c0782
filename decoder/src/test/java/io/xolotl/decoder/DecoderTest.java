package io.xolotl.decoder;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

@ExtendWith(WithZydis.class)
class DecoderTest {

  private static final Decoder AMD = Decoder.of(MachineMode.LONG_64, CpuVendor.AMD, false);
  private static final Decoder INTEL = Decoder.of(MachineMode.LONG_64, CpuVendor.INTEL, false);

  /** push rbp; no instruction; mov rbp, rsp; a call without its end. */
  private static final byte[] CODE = HexFormat.of().parseHex("55" + "06" + "4889e5" + "e8000000");

  @Test
  void decodesFromTheMiddleOfAnArray() {
    assertThat(INTEL.decode(CODE, 2, 3, 0x1002)).hasToString("0x1002: mov rbp, rsp");
  }

  @Test
  void bytesOutsideTheRangeAreNotRead() {
    assertThat(INTEL.decode(CODE, 2, 2, 0x1002))
        .isEqualTo(new Undecodable(0x1002, 0x48, Undecodable.Reason.TRUNCATED));
  }

  @Test
  void noBytesAreTruncated() {
    Decoding decoding = INTEL.decode(new byte[0], 0x1000);
    assertThat(decoding).isEqualTo(new Undecodable(0x1000, -1, Undecodable.Reason.TRUNCATED));
    assertThat(decoding.length()).isZero();
    assertThat(decoding.bytes()).isEmpty();
  }

  @Test
  void rangeOutsideTheArrayIsAnError() {
    assertThatThrownBy(() -> INTEL.decode(CODE, 8, 2, 0)).isInstanceOf(IndexOutOfBoundsException.class);
    assertThatThrownBy(() -> INTEL.decode(MemorySegment.ofArray(CODE), 10, 0))
        .isInstanceOf(IndexOutOfBoundsException.class);
  }

  @Test
  void decodesFromNativeAndHeapSegments() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment off = arena.allocateFrom(ValueLayout.JAVA_BYTE, CODE);
      assertThat(INTEL.decode(off, 2, 0x1002)).isEqualTo(INTEL.decode(CODE, 2, 7, 0x1002));
      assertThat(INTEL.decode(MemorySegment.ofArray(CODE).asReadOnly(), 2, 0x1002))
          .isEqualTo(INTEL.decode(CODE, 2, 7, 0x1002));
      assertThat(INTEL.decode(off, CODE.length, 0)).isInstanceOf(Undecodable.class);
    }
  }

  @Test
  void streamGoesOnBehindWhatIsUndecodable() {
    assertThat(INTEL.stream(CODE, 0x1000)).map(Object::toString).containsExactly("0x1000: push rbp",
        "0x1001: (bad) INVALID", "0x1002: mov rbp, rsp", "0x1005: (bad) TRUNCATED", "0x1006: add [rax], al",
        "0x1008: (bad) TRUNCATED");
  }

  @Test
  void streamOfNothingIsEmpty() {
    assertThat(INTEL.stream(new byte[0], 0)).isEmpty();
  }

  @Test
  void vendorsDisagreeAboutPrefix66OnBranches() {
    byte[] call = HexFormat.of().parseHex("66e810000000");
    assertThat(AMD.decode(call, 0).length()).isEqualTo(4);
    assertThat(INTEL.decode(call, 0).length()).isEqualTo(6);
  }

  @Test
  void modeDecidesWhatABytesMeans() {
    byte[] inc = {0x48};
    assertThat(Decoder.of(MachineMode.COMPAT_32, CpuVendor.INTEL, false).decode(inc, 0))
        .hasToString("0x0: dec eax");
    assertThat(INTEL.decode(inc, 0)).isInstanceOf(Undecodable.class);
  }

  @Test
  void knowsItsOptions() {
    Decoder decoder = Decoder.of(MachineMode.COMPAT_32, CpuVendor.AMD, true);
    assertThat(decoder.mode()).isEqualTo(MachineMode.COMPAT_32);
    assertThat(decoder.vendor()).isEqualTo(CpuVendor.AMD);
    assertThat(decoder.mpx()).isTrue();
  }

  @Test
  void thisCpuHasA64BitDecoderWithoutMpx() {
    assertThat(Decoder.forThisCpu()).isSameAs(Decoder.forThisCpu());
    assertThat(Decoder.forThisCpu().mode()).isEqualTo(MachineMode.LONG_64);
    assertThat(Decoder.forThisCpu().vendor()).isEqualTo(CpuVendor.ofThisCpu());
    assertThat(Decoder.forThisCpu().mpx()).isFalse();
  }

  @Test
  void vendorComesFromCpuinfo() {
    assertThat(CpuVendor.ofCpuinfo("vendor_id\t: AuthenticAMD")).isEqualTo(CpuVendor.AMD);
    assertThat(CpuVendor.ofCpuinfo("vendor_id\t: HygonGenuine")).isEqualTo(CpuVendor.AMD);
    assertThat(CpuVendor.ofCpuinfo("vendor_id\t: GenuineIntel")).isEqualTo(CpuVendor.INTEL);
    assertThat(CpuVendor.ofCpuinfo("vendor_id\t: CentaurHauls")).isEqualTo(CpuVendor.INTEL);
  }

  /** Each thread decodes another instruction; a scratch that two of them shared would mix them up. */
  @Test
  void virtualThreadsDoNotDisturbEachOther() throws InterruptedException, ExecutionException {
    try (var executor = Executors.newVirtualThreadPerTaskExecutor()) {
      List<Future<Boolean>> results = IntStream.range(0, 200)
          .mapToObj(i -> executor.submit(() -> decodesItsOwn(i))).toList();
      for (Future<Boolean> result : results) {
        assertThat(result.get()).isTrue();
      }
    }
  }

  private static boolean decodesItsOwn(int number) {
    // mov eax, number
    byte[] code = {(byte) 0xb8, (byte) number, (byte) (number >> 8), 0, 0};
    for (int i = 0; i < 500; i++) {
      var instruction = (DecodedInstruction) INTEL.decode(code, number);
      var immediate = (Operand.OfImmediate) instruction.operands().get(1);
      if (immediate.value() != number || !instruction.text().equals("mov eax, 0x%02X".formatted(number))) {
        return false;
      }
      Thread.yield();
    }
    return true;
  }
}

package io.xolotl.decoder.reference;

import io.xolotl.decoder.backend.Backend;
import io.xolotl.decoder.backend.Form;
import io.xolotl.decoder.backend.Layout;
import io.xolotl.decoder.backend.Names;
import io.xolotl.decoder.backend.RawOperand;
import io.xolotl.decoder.zydis.Zydis;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.ref.Reference;
import java.util.ArrayList;
import java.util.List;

/**
 * Decodes by Zydis, which is called through FFM: the reference that the tables were made from and are
 * compared with. Each question decodes anew.
 *
 * <p>MVEX, which no CPU in use executes, is invalid here as it is in the tables. The operands are corrected
 * where {@link ZydisOperand#correctBase} says so; the text is Zydis' own.
 */
public final class ZydisBackend implements Backend {

  private final ZydisNames names;
  private final MemorySegment zydis;

  /**
   * A decoder.
   *
   * @param mode64 for 64-bit code, else for 32-bit code under a 64-bit kernel
   * @param amd as AMD reads near branches with prefix 66
   * @param mpx with Intel MPX
   * @throws ZydisUnavailableException if Zydis cannot be used
   */
  public ZydisBackend(boolean mode64, boolean amd, boolean mpx) {
    names = ZydisLibrary.names();
    zydis = Arena.ofAuto().allocate(ZydisStructs.DECODER_SIZE, 8);
    ZydisNames.requireSuccess(mode64
        ? Zydis.ZydisDecoderInit(zydis, Zydis.ZYDIS_MACHINE_MODE_LONG_64(), Zydis.ZYDIS_STACK_WIDTH_64())
        : Zydis.ZydisDecoderInit(zydis, Zydis.ZYDIS_MACHINE_MODE_LONG_COMPAT_32(),
            Zydis.ZYDIS_STACK_WIDTH_32()));
    enable(Zydis.ZYDIS_DECODER_MODE_AMD_BRANCHES(), amd);
    enable(Zydis.ZYDIS_DECODER_MODE_MPX(), mpx);
  }

  private void enable(int mode, boolean enabled) {
    ZydisNames.requireSuccess(Zydis.ZydisDecoderEnableMode(zydis, mode, (byte) (enabled ? 1 : 0)));
  }

  /**
   * The version of the library, as in {@code 4.1.1}.
   *
   * @throws ZydisUnavailableException if Zydis cannot be used
   */
  public static String version() {
    ZydisLibrary.names();
    return ZydisLibrary.version();
  }

  @Override
  public Names names() {
    return names.names();
  }

  /** Form 0 alone: one that is not known from the layout. */
  @Override
  public int formCount() {
    return 1;
  }

  @Override
  public long parse(byte[] code, int offset, int limit) {
    int available = Math.min(limit - offset, Scratch.INPUT_SIZE);
    Scratch scratch = Scratch.take();
    try {
      scratch.load(code, offset, available);
      int status = decodeInstruction(scratch, available);
      if (status == Zydis.ZYDIS_STATUS_NO_MORE_DATA()) {
        return Layout.TRUNCATED;
      }
      if (status == Zydis.ZYDIS_STATUS_INSTRUCTION_TOO_LONG()) {
        return Layout.TOO_LONG;
      }
      return status < 0 || ZydisInstruction.encoding(scratch) == Zydis.ZYDIS_INSTRUCTION_ENCODING_MVEX()
          ? Layout.INVALID
          : ZydisInstruction.layout(scratch);
    } finally {
      scratch.giveBack();
    }
  }

  @Override
  public Form form(byte[] code, int offset, long layout) {
    Scratch scratch = Scratch.take();
    try {
      load(scratch, code, offset, layout);
      return ZydisInstruction.form(scratch);
    } finally {
      scratch.giveBack();
    }
  }

  @Override
  public List<RawOperand> operands(byte[] code, int offset, long layout) {
    Scratch scratch = Scratch.take();
    try {
      load(scratch, code, offset, layout);
      return operands(scratch);
    } finally {
      scratch.giveBack();
    }
  }

  private List<RawOperand> operands(Scratch scratch) {
    ZydisNames.requireSuccess(decodeOperands(scratch));
    ZydisOperand.correctBase(scratch);
    int count = scratch.instructionByte(ZydisStructs.OPERAND_COUNT);
    var operands = new ArrayList<RawOperand>(count);
    for (int i = 0; i < count; i++) {
      operands.add(ZydisOperand.read(scratch.operands, i));
    }
    return operands;
  }

  @Override
  public int generalMask(byte[] code, int offset, long layout) {
    int mask = 0;
    for (RawOperand operand : operands(code, offset, layout)) {
      mask |= ZydisOperand.generalMask(operand, names.names());
    }
    return mask;
  }

  @Override
  public String text(byte[] code, int offset, long layout, long address) {
    Scratch scratch = Scratch.take();
    try {
      load(scratch, code, offset, layout);
      ZydisNames.requireSuccess(decodeOperands(scratch));
      ZydisOperand.correctBase(scratch);
      ZydisNames.requireSuccess(Zydis.ZydisFormatterFormatInstruction(names.formatter(), scratch.instruction,
          scratch.operands, scratch.instructionByte(ZydisStructs.OPERAND_COUNT), scratch.text,
          scratch.text.byteSize(), address, MemorySegment.NULL));
      return scratch.text.getString(0);
    } finally {
      scratch.giveBack();
    }
  }

  private void load(Scratch scratch, byte[] code, int offset, long layout) {
    int length = Layout.length(layout);
    scratch.load(code, offset, length);
    ZydisNames.requireSuccess(decodeInstruction(scratch, length));
  }

  // Each call of Zydis has a method of its own: several hot ones in one method cost one of them its inlining.

  private int decodeInstruction(Scratch scratch, int available) {
    try {
      return ZydisCalls.decodeInstruction(zydis.address(), scratch.context.address(), scratch.input.address(),
          available, scratch.instruction.address());
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  private int decodeOperands(Scratch scratch) {
    try {
      return ZydisCalls.decodeOperands(zydis.address(), scratch.context.address(),
          scratch.instruction.address(), scratch.operands.address(),
          scratch.instructionByte(ZydisStructs.OPERAND_COUNT));
    } finally {
      Reference.reachabilityFence(this);
    }
  }
}

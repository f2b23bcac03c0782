package io.xolotl.decoder.reference;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.xolotl.decoder.zydis.Zydis;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/**
 * The two functions of Zydis that are called for each instruction, linked for speed: with addresses in place
 * of segments, each of which Java would check and hold for the time of the call, and without a change of the
 * thread's state, because they neither block nor call back.
 *
 * <p>Whoever calls, or reads by an address, makes sure that the memory lives as long as that takes. Usable
 * once the library is loaded.
 */
final class ZydisCalls {

  /**
   * All memory, by its addresses, for what only Zydis tells where it is, and for reads that nothing should
   * slow down.
   */
  static final MemorySegment MEMORY = MemorySegment.NULL.reinterpret(Long.MAX_VALUE);

  private static final MethodHandle DECODE_INSTRUCTION = link(Zydis.ZydisDecoderDecodeInstruction$address(),
      FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG));
  private static final MethodHandle DECODE_OPERANDS = link(Zydis.ZydisDecoderDecodeOperands$address(),
      FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_BYTE));

  private ZydisCalls() {}

  private static MethodHandle link(MemorySegment function, FunctionDescriptor descriptor) {
    return Linker.nativeLinker().downcallHandle(function, descriptor, Linker.Option.critical(false));
  }

  /** {@code ZydisDecoderDecodeInstruction}; negative if there is none. */
  static int decodeInstruction(long decoder, long context, long buffer, long length, long instruction) {
    try {
      return (int) DECODE_INSTRUCTION.invokeExact(decoder, context, buffer, length, instruction);
    } catch (Throwable t) {
      throw new AssertionError(t);
    }
  }

  /** {@code ZydisDecoderDecodeOperands}; negative if it failed. */
  static int decodeOperands(long decoder, long context, long instruction, long operands, byte count) {
    try {
      return (int) DECODE_OPERANDS.invokeExact(decoder, context, instruction, operands, count);
    } catch (Throwable t) {
      throw new AssertionError(t);
    }
  }
}

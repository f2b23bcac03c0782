package io.xolotl.lab.oracle;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/** The shared memory, as {@code oracle.h} says. */
final class Layout {

  static final long MAGIC = 0x31656c6361726fL;
  static final int HEAD_BYTES = 0x1000;
  static final int BATCH = 256;
  static final int RECORD_BYTES = 0xa000;
  static final long BYTES = HEAD_BYTES + 2L * BATCH * RECORD_BYTES;

  static final int HEAD_COUNT = 0x8;
  static final int HEAD_CURRENT = 0xc;
  static final int HEAD_XSAVE_MASK = 0x10;
  static final int HEAD_COMPONENTS = 0x18;
  static final int HEAD_LAYOUT = 0x58;

  static final int IN_ADDRESS = 0x0;
  static final int IN_LENGTH = 0x8;
  static final int IN_OPTIONS = 0xc;
  static final int IN_GENERAL = 0x10;
  static final int IN_FLAGS = 0x90;
  static final int IN_FS_BASE = 0x98;
  static final int IN_GS_BASE = 0xa0;
  static final int IN_CODE = 0x100;
  static final int OPTION_SYSTEM_CALLS = 1;
  static final int OPTION_REGIONS = 2;

  static final int OUT_OUTCOME = 0x0;
  static final int OUT_SIGNAL = 0x4;
  static final int OUT_CODE = 0x8;
  static final int OUT_GENERAL = 0x10;
  static final int OUT_FLAGS = 0x90;
  static final int OUT_FS_BASE = 0x98;
  static final int OUT_GS_BASE = 0xa0;
  static final int OUT_RIP = 0xa8;
  static final int OUT_ADDRESS = 0xb0;
  static final int OUT_TRAP = 0xb8;
  static final int OUT_ERROR = 0xc0;
  static final int OUT_CR2 = 0xc8;
  static final int OUT_SELECTORS = 0xd0;
  static final int OUT_LENGTH = 0xd8;

  static final int XSAVE_IMAGE = 0x1000;
  static final int XSAVE_BYTES = 0xa80;
  static final int REGIONS = 0x2000;

  static final int OUTCOME_EXITED = 1;
  static final int OUTCOME_SIGNAL = 2;
  static final int OUTCOME_HANG = 3;

  /** What the program says of itself in its head, in this order. */
  static final long[] LAYOUT = {Case.LOW_CODE, Case.HIGH_CODE, Case.AREA_BYTES, Region.LOW.address(),
      Region.NEAR.address(), Region.STACK.address(), Region.FAR.address(), Region.CONSTANT.address(),
      Region.BYTES,
      BATCH, RECORD_BYTES, Case.MOST_BYTES};

  private static final VarHandle QUAD = MethodHandles.byteArrayViewVarHandle(long[].class,
      ByteOrder.LITTLE_ENDIAN);

  private Layout() {}

  /** The place of a writable region in an input or a result; they are in the order of the enum. */
  static int region(Region region) {
    return REGIONS + region.ordinal() * Region.BYTES;
  }

  static long quad(byte[] record, int offset) {
    return (long) QUAD.get(record, offset);
  }
}

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
  static final int UNIT_BYTES = 0x2_9000;
  static final long UNIT = HEAD_BYTES + 2L * BATCH * RECORD_BYTES;
  static final long BYTES = UNIT + UNIT_BYTES;

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
  static final int IN_ENTRY = 0xa8;
  static final int IN_COPY = 0xb0;
  static final int IN_COPY_LENGTH = 0xb8;
  static final int IN_PAIR = 0xbc;
  static final int IN_CODE = 0x100;
  static final int IN_COPY_CODE = 0x180;
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

  static final int MOST_FOUND = 32;
  static final int UNIT_COUNT = 0x0;
  static final int UNIT_CURRENT = 0x4;
  static final int UNIT_SEED = 0x8;
  static final int UNIT_FOUND = 0x10;
  static final int UNIT_BROKEN = 0x14;
  static final int UNIT_PAIRS = 0x1000;
  static final int PAIR_BYTES = 0x200;
  static final int UNIT_TALLIES = 0x2_1000;
  static final int TALLY_BYTES = 0x80;

  static final int PAIR_ADDRESS = 0x0;
  static final int PAIR_ENTRY = 0x8;
  static final int PAIR_COPY = 0x10;
  static final int PAIR_LENGTH = 0x18;
  static final int PAIR_COPY_LENGTH = 0x19;
  static final int PAIR_OPERANDS = 0x1a;
  static final int PAIR_TARGET = 0x1b;
  static final int PAIR_TARGET_REGISTER = 0x1c;
  static final int PAIR_OPTIONS = 0x1d;
  static final int PAIR_STATES = 0x1e;
  static final int PAIR_CODE = 0x20;
  static final int PAIR_OPERAND = 0x30;
  static final int PAIR_COPY_CODE = 0x80;
  static final int PAIR_FAULTS = 0x100;

  static final int TARGET_REGISTER = 1;
  static final int TARGET_MEMORY = 2;

  static final int PAIR_REPEATED = 1;
  static final int PAIR_VARIES = 2;
  static final int PAIR_PUSHES_FIRST = 4;
  static final int PAIR_RESTORES = 8;

  static final int TALLY_DIGEST = 0x0;
  static final int TALLY_PAIRS = 0x8;
  static final int TALLY_COMPLETED = 0xc;
  static final int TALLY_SIGNALS = 0x10;
  static final int TALLY_HANGS = 0x28;
  static final int TALLY_DIFFERENCES = 0x2c;
  static final int TALLY_DROPPED = 0x30;
  static final int TALLY_TRANSIENT = 0x34;
  static final int TALLY_VARYING = 0x38;
  static final int TALLY_OTHER_FAULT = 0x3c;

  static final int OUTCOME_EXITED = 1;
  static final int OUTCOME_SIGNAL = 2;
  static final int OUTCOME_HANG = 3;

  /** What the program says of itself in its head, in this order. */
  static final long[] LAYOUT = {Case.LOW_CODE, Case.HIGH_CODE, Case.AREA_BYTES, Region.LOW.address(),
      Region.NEAR.address(), Region.STACK.address(), Region.FAR.address(), Region.CONSTANT.address(),
      Region.BYTES,
      BATCH, RECORD_BYTES, Case.MOST_BYTES, Place.FAR_AREA, Place.NEAR_DISTANCE, RelocatedCode.MOST_BYTES,
      UNIT_BYTES};

  private static final VarHandle QUAD = MethodHandles.byteArrayViewVarHandle(long[].class,
      ByteOrder.LITTLE_ENDIAN);

  private static final VarHandle WORD = MethodHandles.byteArrayViewVarHandle(int[].class,
      ByteOrder.LITTLE_ENDIAN);

  private Layout() {}

  /** The place of a writable region in an input or a result; they are in the order of the enum. */
  static int region(Region region) {
    return REGIONS + region.ordinal() * Region.BYTES;
  }

  static long quad(byte[] record, int offset) {
    return (long) QUAD.get(record, offset);
  }

  static void putQuad(byte[] record, int offset, long value) {
    QUAD.set(record, offset, value);
  }

  static int word(byte[] record, int offset) {
    return (int) WORD.get(record, offset);
  }
}

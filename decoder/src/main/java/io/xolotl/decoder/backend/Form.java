package io.xolotl.decoder.backend;

/**
 * What an instruction means whatever its registers, addresses and numbers are. Numbers are those of
 * {@link Names}.
 *
 * @param mnemonic number of the name
 * @param category number of the category
 * @param isaSet number of the instruction set
 * @param branchKind 0 none, 1 short, 2 near, 3 far
 * @param operandWidth bits, as the prefixes say: 8 to 64
 * @param attributes of the constants here
 * @param flagsRead bits of rflags that are tested
 * @param flagsWritten bits of rflags that are changed, cleared, set, or left undefined
 * @param relativeImmediate the first immediate counts from the end of the instruction
 */
public record Form(int mnemonic, int category, int isaSet, int branchKind, int operandWidth, int attributes,
    int flagsRead, int flagsWritten, boolean relativeImmediate) {

  /** Prefix f0 is in effect. */
  public static final int LOCK = 1;
  /** Prefix f3 repeats a string instruction. */
  public static final int REP = 2;
  /** Prefix f3 repeats one that compares. */
  public static final int REPE = 4;
  /** Prefix f2 repeats one that compares. */
  public static final int REPNE = 8;
  /** It faults in user space. */
  public static final int PRIVILEGED = 16;
  /** Prefix 66 gives the operands their size. */
  public static final int OPERAND_SIZE = 32;

  /** Returns true if one of some attributes is there. */
  public boolean has(int some) {
    return (attributes & some) != 0;
  }
}

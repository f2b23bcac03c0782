package io.xolotl.decoder.backend;

import java.util.List;

/**
 * One way to decode: by the tables, which is the product, or by Zydis, which made the tables and checks them.
 *
 * <p>An instruction is its bytes and its {@link Layout}. Both are passed to whatever asks for more, and
 * nothing is kept: an implementation is immutable, and any number of threads may use it at the same time.
 */
public interface Backend {

  /** What its numbers stand for. */
  Names names();

  /** How many forms there are: the number of each is smaller. */
  int formCount();

  /**
   * Finds out where an instruction ends and which it is.
   *
   * @param code holds it
   * @param offset where it starts
   * @param limit where the bytes end that may be read, at most the array's length
   * @return its layout, or one of the negative constants of {@link Layout}
   */
  long parse(byte[] code, int offset, int limit);

  /**
   * What it means.
   *
   * @param code holds the instruction
   * @param offset where it starts
   * @param layout what {@link #parse} said
   */
  Form form(byte[] code, int offset, long layout);

  /** All operands: first those of the text in the text's order, then the hidden ones. */
  List<RawOperand> operands(byte[] code, int offset, long layout);

  /** One bit for each general register of which a part is an operand, or part of an address. */
  int generalMask(byte[] code, int offset, long layout);

  /**
   * The instruction in Intel syntax.
   *
   * @param address where its first byte is in the process, for relative operands
   */
  String text(byte[] code, int offset, long layout, long address);
}

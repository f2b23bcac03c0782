package io.xolotl.decoder;

/** What decoding at one address gave. */
public sealed interface Decoding permits DecodedInstruction, Undecodable {

  /** Returns the address of the first byte, unsigned. */
  long address();

  /** Returns how many bytes this takes: 1 to 15; 1 if undecodable, and 0 if there was no byte at all. */
  int length();

  /** Returns a copy of the {@link #length} bytes. */
  byte[] bytes();
}

package io.xolotl.lab;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

/**
 * A program that is built with a module and packed into its jar, with an account of its symbols that does not
 * come from the code under test.
 */
public interface BundledProgram {

  /** {@return the program's executable file} */
  Path path();

  /** {@return true if the values of the program's symbols are addresses as they are, wherever it runs} */
  boolean hasFixedAddress();

  /** {@return all symbols that the program defines, and their {@linkplain #symbol(String) values}} */
  Map<String, Long> symbols();

  /** {@return true if the program could be built} */
  default boolean isAvailable() {
    return Files.exists(path());
  }

  /**
   * Called before the program is started where it {@linkplain #isAvailable() is not there}.
   *
   * @return what to throw
   */
  default RuntimeException missing() {
    return new IllegalStateException("this machine cannot build or run " + this);
  }

  /**
   * The value of a symbol of the program, as nm(1) prints it: an address, relative to where the program is
   * loaded unless it {@linkplain #hasFixedAddress() has a fixed address}.
   *
   * @param name the symbol's name
   * @return its value
   * @throws IllegalArgumentException if the program defines no such symbol
   * @see TargetProcess#address(String)
   */
  default long symbol(String name) {
    Long value = symbols().get(name);
    if (value == null) {
      throw new IllegalArgumentException(path() + " has no symbol " + name);
    }
    return value;
  }
}

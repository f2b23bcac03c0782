package io.xolotl.ptrace;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Optional;

/**
 * How much a terminal shows at a time.
 *
 * @param rows lines, at least 1
 * @param columns characters of a line, at least 1
 */
public record TerminalSize(int rows, int columns) {

  private static final long TIOCGWINSZ = 0x5413;
  /** {@code struct winsize} of {@code asm-generic/termios.h}: four unsigned shorts. */
  private static final long WINDOW_BYTES = 8;

  /**
   * The size of the terminal behind a file descriptor.
   *
   * @param descriptor one of this JVM's
   * @return empty if it is no terminal, or one that does not say
   */
  public static Optional<TerminalSize> of(int descriptor) {
    if (NativeAccess.denial() != null) {
      return Optional.empty();
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment window = arena.allocate(WINDOW_BYTES);
      if (Libc.ioctl(arena.allocate(Libc.callState()), descriptor, TIOCGWINSZ, window.address()) != 0) {
        return Optional.empty();
      }
      int rows = Short.toUnsignedInt(window.get(ValueLayout.JAVA_SHORT, 0));
      int columns = Short.toUnsignedInt(window.get(ValueLayout.JAVA_SHORT, 2));
      return rows == 0 || columns == 0 ? Optional.empty() : Optional.of(new TerminalSize(rows, columns));
    }
  }
}

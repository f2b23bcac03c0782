package io.xolotl.decoder.reference;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Optional;

/**
 * The one Zydis that the tables are made from and compared with: others know other instructions, and write
 * other texts. It is told by its bytes, since 4.1.1 says of itself that it is 4.1.0.
 */
public final class PinnedZydis {

  /** Its version, which {@code stage-zydis.sh} knows too. */
  public static final String VERSION = "4.1.1";

  private static final String SHA_256 = "b4820a5b8a6ca8040d76f8ba2dfd63567426d018e5176fd86e98ee0e47ba353b";

  private PinnedZydis() {}

  /** Returns why the library that would be loaded is not the one; empty if it is. */
  public static Optional<String> whyNot() {
    ClassLoader loader = PinnedZydis.class.getClassLoader();
    try (InputStream staged = loader.getResourceAsStream(ZydisLibrary.RESOURCE)) {
      if (staged == null || System.getProperty(ZydisLibrary.PROPERTY) != null) {
        return Optional.of("Zydis " + VERSION + " has not been staged by the build");
      }
      byte[] hash = MessageDigest.getInstance("SHA-256").digest(staged.readAllBytes());
      return HexFormat.of().formatHex(hash).equals(SHA_256)
          ? Optional.empty()
          : Optional.of("the build has staged another library than Zydis " + VERSION);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError("every JDK has SHA-256", e);
    }
  }
}

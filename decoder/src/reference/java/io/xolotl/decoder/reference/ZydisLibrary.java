package io.xolotl.decoder.reference;

import io.xolotl.decoder.reference.ZydisUnavailableException.Reason;
import io.xolotl.decoder.zydis.Zydis;

import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Loads Zydis, once, and makes sure that it is the library that the bindings were made for.
 *
 * <p>The file is the first of: {@code -Dxolotl.zydis.library=PATH}, that of the optional artifact, the
 * system's {@code libZydis.so.4.1} or {@code .4.0}. A path that was given but cannot be used is an error;
 * nothing else is tried then.
 */
final class ZydisLibrary {

  static final String PROPERTY = "xolotl.zydis.library";

  private static final String FILE_NAME = "libZydis.so";
  /** In an artifact of its own, which only those need who ask for Zydis. */
  static final String RESOURCE = "io/xolotl/zydis/linux-x86-64/" + FILE_NAME;
  private static final int SUPPORTED_MAJOR = 4;
  private static final List<String> SYSTEM_NAMES = List.of("libZydis.so.4.1", "libZydis.so.4.0");
  private static final List<Path> SYSTEM_DIRECTORIES = List.of(Path.of("/usr/local/lib"),
      Path.of("/usr/local/lib/x86_64-linux-gnu"), Path.of("/usr/lib/x86_64-linux-gnu"), Path.of("/usr/lib64"),
      Path.of("/usr/lib"));
  private static final List<String> FUNCTIONS = List.of("ZydisGetVersion", "ZydisDecoderInit",
      "ZydisDecoderEnableMode", "ZydisDecoderDecodeInstruction", "ZydisDecoderDecodeOperands",
      "ZydisMnemonicGetString", "ZydisCategoryGetString", "ZydisISASetGetString", "ZydisRegisterGetString",
      "ZydisRegisterGetWidth", "ZydisRegisterGetLargestEnclosing", "ZydisRegisterGetId", "ZydisFormatterInit",
      "ZydisFormatterFormatInstruction");

  private static final String HOW_TO_GET_ONE = "Install libzydis4.0 or libzydis4.1, or start Java with -D"
      + PROPERTY
      + "=PATH of a libZydis.so of version 4";

  /**
   * Keeps the outcome instead of throwing in an initializer: every use gets the same reason, not the first
   * only.
   */
  private static final class Holder {
    static final Object NAMES_OR_FAILURE = namesOrFailure();

    private static Object namesOrFailure() {
      try {
        load();
        return ZydisNames.read();
      } catch (ZydisUnavailableException e) {
        return e;
      }
    }
  }

  private ZydisLibrary() {}

  /**
   * Loads the library if that has not happened yet.
   *
   * @return what its numbers stand for
   * @throws ZydisUnavailableException if it cannot be used
   */
  static ZydisNames names() {
    return switch (Holder.NAMES_OR_FAILURE) {
      case ZydisNames names -> names;
      case ZydisUnavailableException first ->
        throw first.again();
      default -> throw new AssertionError();
    };
  }

  private static void load() {
    String denial = NativeAccess.denial();
    if (denial != null) {
      throw new ZydisUnavailableException(Reason.NATIVE_ACCESS_DENIED, denial, null);
    }
    String given = System.getProperty(PROPERTY);
    if (given != null && !given.isBlank()) {
      Path path = Path.of(given).toAbsolutePath();
      if (!Files.isRegularFile(path)) {
        throw new ZydisUnavailableException(Reason.LIBRARY_NOT_FOUND,
            "There is no file " + path + ", which -D" + PROPERTY + " names. Correct or remove the property",
            null);
      }
      check(loadFile(path));
    } else {
      byte[] packed = packedLibrary();
      check(packed == null ? loadFile(systemLibrary()) : loadPacked(packed));
    }
  }

  private static byte @Nullable [] packedLibrary() {
    // No package has a name with a hyphen, so no module can encapsulate it.
    ClassLoader loader = ZydisLibrary.class.getClassLoader();
    try (InputStream packed = loader.getResourceAsStream(RESOURCE)) {
      return packed == null ? null : packed.readAllBytes();
    } catch (IOException e) {
      throw new ZydisUnavailableException(Reason.NOT_LOADABLE,
          "The Zydis library in the jar of xolotl-decoder-zydis cannot be read: " + e, e);
    }
  }

  private static Path systemLibrary() {
    for (String name : SYSTEM_NAMES) {
      for (Path directory : SYSTEM_DIRECTORIES) {
        Path path = directory.resolve(name);
        if (Files.isRegularFile(path)) {
          return path;
        }
      }
    }
    throw new ZydisUnavailableException(Reason.LIBRARY_NOT_FOUND,
        "There is no Zydis library, neither in the system nor in a jar. " + HOW_TO_GET_ONE, null);
  }

  private static String loadPacked(byte[] packed) {
    try {
      PackedLibrary.load(packed, FILE_NAME);
    } catch (PackedLibrary.NotLoadedException e) {
      throw new ZydisUnavailableException(Reason.NOT_LOADABLE,
          "The Zydis library of Xolotl's own jar can be loaded " + e.getMessage()
              + ". Set -Djava.io.tmpdir to a directory with room that is not mounted noexec, or -D" + PROPERTY
              + " to a libZydis.so of version 4",
          e);
    }
    return "the Zydis library of Xolotl's own jar";
  }

  private static String loadFile(Path file) {
    try {
      System.load(file.toString());
    } catch (UnsatisfiedLinkError e) {
      throw new ZydisUnavailableException(Reason.NOT_LOADABLE,
          "Cannot load " + file + ": " + e.getMessage() + ". " + HOW_TO_GET_ONE, e);
    }
    return file.toString();
  }

  private static void check(String origin) {
    SymbolLookup symbols = SymbolLookup.loaderLookup();
    for (String function : FUNCTIONS) {
      if (symbols.find(function).isEmpty()) {
        throw new ZydisUnavailableException(Reason.NOT_ZYDIS,
            origin + " has no function " + function + ", so it is not Zydis. " + HOW_TO_GET_ONE, null);
      }
    }
    checkVersion(Zydis.ZydisGetVersion(), origin);
    checkLayout(bytesWrittenByDecoding(), origin);
  }

  /** The version, as in {@code 4.1.1}. Requires that the library is loaded. */
  static String version() {
    long version = Zydis.ZydisGetVersion();
    return (version >>> 48) + "." + (version >>> 32 & 0xffff) + "." + (version >>> 16 & 0xffff);
  }

  static void checkVersion(long version, String origin) {
    if (version >>> 48 != SUPPORTED_MAJOR) {
      throw new ZydisUnavailableException(Reason.WRONG_VERSION,
          "%s is Zydis %d.%d, but only version 4 will do. %s"
              .formatted(origin, version >>> 48, version >>> 32 & 0xffff, HOW_TO_GET_ONE),
          null);
    }
  }

  static void checkLayout(long bytesWritten, String origin) {
    if (bytesWritten != ZydisStructs.INSTRUCTION_SIZE) {
      throw new ZydisUnavailableException(Reason.WRONG_LAYOUT,
          origin + " says that it is Zydis 4, but its structures have other sizes. " + HOW_TO_GET_ONE, null);
    }
  }

  /**
   * Decodes {@code nop} into memory full of a pattern that nothing in the result has, and looks how far it
   * reached.
   */
  private static long bytesWrittenByDecoding() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment decoder = arena.allocate(ZydisStructs.DECODER_SIZE, 8);
      MemorySegment nop = arena.allocateFrom(ValueLayout.JAVA_BYTE, (byte) 0x90);
      MemorySegment result = arena.allocate(1024, 8).fill((byte) 0xa5);
      int status = Zydis.ZydisDecoderInit(decoder, Zydis.ZYDIS_MACHINE_MODE_LONG_64(),
          Zydis.ZYDIS_STACK_WIDTH_64());
      if (status >= 0) {
        status = Zydis.ZydisDecoderDecodeInstruction(decoder, MemorySegment.NULL, nop, 1, result);
      }
      long end = result.byteSize();
      while (end > 0 && result.get(ValueLayout.JAVA_BYTE, end - 1) == (byte) 0xa5) {
        end--;
      }
      return status < 0 ? -1 : end;
    }
  }
}

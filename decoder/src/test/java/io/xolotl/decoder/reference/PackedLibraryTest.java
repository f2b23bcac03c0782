package io.xolotl.decoder.reference;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.xolotl.decoder.ChildJvm;
import io.xolotl.decoder.DecoderUnavailableException.Reason;
import io.xolotl.decoder.Namespaces;
import java.io.File;
import java.io.IOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.StandardWatchEventKinds;
import java.nio.file.WatchEvent;
import java.nio.file.WatchKey;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** How the library gets from the jar into the process: past everybody else. */
@ExtendWith(NeedsZydis.class)
class PackedLibraryTest {

  private static final String FLAG = "--enable-native-access=ALL-UNNAMED";
  private static final String MARKER = "behind all that the JVM has done";

  @TempDir
  private Path directory;

  private List<String> confined(String mountOptions) throws IOException, InterruptedException {
    return Namespaces.confined(directory, mountOptions);
  }

  /** Nothing that another user could open, and nothing to leave behind, whenever SIGKILL comes. */
  @Test
  void noFileIsMadeAtAnyTime() throws Exception {
    var names = new ArrayList<String>();
    try (var watch = directory.getFileSystem().newWatchService()) {
      directory.register(watch, StandardWatchEventKinds.ENTRY_CREATE, StandardWatchEventKinds.OVERFLOW);
      assertThat(DecoderUnavailableTest.attempt(FLAG, "-Djava.io.tmpdir=" + directory))
          .isEqualTo("AVAILABLE 0x0: ret");
      Files.createFile(directory.resolve(MARKER));
      while (!names.contains(MARKER)) {
        WatchKey key = watch.take();
        for (WatchEvent<?> event : key.pollEvents()) {
          names.add(String.valueOf(event.context()));
        }
        key.reset();
      }
    }
    assertThat(names).containsExactly(MARKER);
  }

  @Test
  void loadedLibraryCannotBeChanged() throws Exception {
    ZydisLibrary.names();
    List<Path> descriptors;
    try (Stream<Path> all = Files.list(Path.of("/proc/self/fd"))) {
      descriptors = all.filter(each -> target(each).startsWith("/memfd:libZydis.so")).toList();
    }
    assertThat(descriptors).hasSize(1);
    try (var channel = FileChannel.open(descriptors.getFirst(), StandardOpenOption.WRITE)) {
      assertThatThrownBy(() -> channel.write(ByteBuffer.wrap(new byte[]{(byte) 0xcc})))
          .isInstanceOf(IOException.class).hasMessageContaining("Operation not permitted");
      assertThatThrownBy(() -> channel.truncate(0)).isInstanceOf(IOException.class);
    }
  }

  private static String target(Path link) {
    try {
      return Files.readSymbolicLink(link).toString();
    } catch (NoSuchFileException e) {
      // That of the listing itself, or another thread's.
      return "";
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  @Test
  void aPrivateFileIsLoadedWhereMemoryMayNotBeExecuted() throws Exception {
    assertThat(DecoderUnavailableTest.attempt(confined("mode=1777"), FLAG, "-Djava.io.tmpdir=" + directory))
        .isEqualTo("AVAILABLE 0x0: ret");
  }

  /** The file system of the other test is gone with its namespace; this is one that can be looked into. */
  @Test
  void thePrivateFileIsRemoved() throws Exception {
    Path elsewhere = Files.createDirectory(directory.resolve("elsewhere"));
    Path mounted = Files.createDirectory(directory.resolve("mounted"));
    List<String> prefix = confined("mode=1777").stream()
        .map(each -> each.equals(directory.toString()) ? mounted.toString() : each).toList();
    assertThat(DecoderUnavailableTest.attempt(prefix, FLAG, "-Djava.io.tmpdir=" + elsewhere))
        .isEqualTo("AVAILABLE 0x0: ret");
    assertThat(elsewhere).isEmptyDirectory();
  }

  @ParameterizedTest
  @CsvSource({"noexec, failed to map segment", "size=4k, No space left", "mode=0, AccessDenied"})
  void aDirectoryThatWillNotDoIsNamed(String mountOptions, String why) throws Exception {
    List<String> prefix = new ArrayList<>(confined(mountOptions));
    if (mountOptions.startsWith("mode")) {
      // Root could write there all the same.
      prefix.addAll(List.of("setpriv", "--bounding-set=-all", "--inh-caps=-all"));
    }
    String outcome = DecoderUnavailableTest.attempt(prefix, FLAG, "-Djava.io.tmpdir=" + directory);
    assertThat(outcome).startsWith(Reason.NOT_LOADABLE + " ").contains("vm.memfd_noexec",
        "a file in " + directory, why, "-Djava.io.tmpdir", "noexec", "-Dxolotl.zydis.library");
  }

  /** Prints the modes of a private directory and a file in it. */
  static final class Modes {

    private Modes() {}

    public static void main(String[] arguments) throws IOException {
      Path own = PackedLibrary.privateDirectory();
      Path file = own.resolve("file");
      PackedLibrary.write(file, new byte[]{1});
      for (Path each : List.of(own, file)) {
        System.out.println(PosixFilePermissions.toString(Files.getPosixFilePermissions(each)));
      }
      try {
        PackedLibrary.write(file, new byte[]{2});
      } catch (IOException e) {
        System.out.println(e.getClass().getSimpleName());
      }
    }
  }

  @Test
  void privateFilesAreTheirOwnersWhateverTheUmask() throws Exception {
    assertThat(ChildJvm.run(List.of("sh", "-c", "umask 000; exec \"$0\" \"$@\""), Modes.class,
        "-Djava.io.tmpdir=" + directory))
        .containsExactly("rwx------", "rw-------", "FileAlreadyExistsException");
  }

  /** Uses the decoder in two class loaders. */
  static final class TwoLoaders {

    private TwoLoaders() {}

    public static void main(String[] arguments) throws Exception {
      var urls = new ArrayList<URL>();
      for (String each : System.getProperty("java.class.path").split(File.pathSeparator)) {
        urls.add(Path.of(each).toUri().toURL());
      }
      for (int i = 0; i < 2; i++) {
        // Open for as long as the JVM lives, as that of a container would be.
        var loader = new URLClassLoader(urls.toArray(URL[]::new), ClassLoader.getPlatformClassLoader());
        var main = loader.loadClass(DecoderUnavailableTest.Attempt.class.getName()).getMethod("main",
            String[].class);
        main.setAccessible(true);
        main.invoke(null, (Object) new String[0]);
      }
      try (Stream<String> maps = Files.lines(Path.of("/proc/self/maps"))) {
        System.out.println(maps.filter(line -> line.contains("libZydis") && line.contains(" r-xp ")).count());
      }
    }
  }

  @Test
  void eachClassLoaderHasALibraryOfItsOwn() throws Exception {
    assertThat(ChildJvm.run(List.of(), TwoLoaders.class, FLAG, "-Dxolotl.decoder=zydis"))
        .filteredOn(line -> !line.startsWith("FULL"))
        .containsExactly("AVAILABLE 0x0: ret", "AVAILABLE 0x0: ret", "AVAILABLE 0x0: ret",
            "AVAILABLE 0x0: ret", "2");
  }
}

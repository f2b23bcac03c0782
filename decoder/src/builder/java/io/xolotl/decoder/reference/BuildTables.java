package io.xolotl.decoder.reference;

import io.xolotl.decoder.tables.Tables;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/** Builds the tables anew: those that the decoder reads, and for people a listing of each. */
final class BuildTables {

  private BuildTables() {}

  /** Arguments: the directory of the tables, and that of the listings. */
  public static void main(String[] arguments) throws IOException {
    Optional<String> whyNot = PinnedZydis.whyNot();
    if (whyNot.isPresent()) {
      System.err.println("The tables are built from one version of Zydis only: " + whyNot.get());
      System.exit(1);
    }
    Path directory = Files.createDirectories(Path.of(arguments[0]));
    Path listings = Files.createDirectories(Path.of(arguments[1]));
    Files.write(directory.resolve("names.txt"), Tables.bytes(ZydisLibrary.names().names()));
    for (boolean mode64 : new boolean[]{true, false}) {
      long start = System.nanoTime();
      Tables tables = TableBuilder.build(mode64);
      byte[] bytes = tables.bytes();
      String name = mode64 ? "long_64" : "compat_32";
      Files.write(directory.resolve(name + ".bin"), bytes);
      Files.writeString(listings.resolve(name + ".txt"),
          TableListing.of(tables, ZydisLibrary.names().names(), mode64), StandardCharsets.US_ASCII);
      System.out.printf("%s: Zydis %s, %,d forms, %,d cells, %,d lists of operands, %,d bytes, %d s%n", name,
          tables.zydisVersion(), tables.mnemonics().length, tables.cells().length, tables.listStarts().length,
          bytes.length, (System.nanoTime() - start) / 1_000_000_000);
    }
  }
}

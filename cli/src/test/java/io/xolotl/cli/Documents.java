package io.xolotl.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import picocli.AutoComplete;
import picocli.CommandLine;
import picocli.codegen.docgen.manpage.ManPageGenerator;

/** Writes what picocli knows of the commands: man pages, as AsciiDoc, and what shells complete. */
final class Documents {

  /** The names of constants, as options do not take them. */
  private static final Pattern VALUES = Pattern.compile("(?<=_option_args=)[(].*[)]");

  private Documents() {}

  /**
   * @param args where to write, the version, and its time
   */
  public static void main(String[] args) throws IOException {
    Path directory = Path.of(args[0]);
    CommandLine xolotl = Xolotl.commandLine(null, List.of());
    Stream.concat(Stream.of(xolotl), xolotl.getSubcommands().values().stream())
        .forEach(
            command -> command.getCommandSpec().versionProvider(() -> new String[]{"xolotl " + args[1]}));
    Files.createDirectories(directory);
    Files.writeString(directory.resolve("completion"), VALUES.matcher(AutoComplete.bash("xolotl", xolotl))
        .replaceAll(values -> values.group().toLowerCase(Locale.ROOT).replace('_', '-')));
    Path pages = directory.resolve("man");
    if (ManPageGenerator.generateManPage(pages.toFile(), null, new boolean[0], true,
        xolotl.getCommandSpec()) != CommandLine.ExitCode.OK) {
      throw new IOException("the man pages cannot be written");
    }
    try (Stream<Path> files = Files.list(pages)) {
      for (Path page : files.toList()) {
        Files.writeString(page, corrected(Files.readString(page), args[2].substring(0, 10)));
      }
    }
  }

  /** What the page says, which has not been written for AsciiDoc, without what that would take for markup. */
  private static String corrected(String generated, String date) {
    String page = generated.replaceAll("(?m)^== +(.+):$", "== $1");
    // What is indented there is taken as it is.
    int examples = page.indexOf("\n== Examples");
    String text = examples < 0 ? page : page.substring(0, examples);
    return text.replaceFirst("(?m)^:doctype: manpage$", "$0\n:docdate: " + date)
        .replace("== Synopsis\n\n", "== Synopsis\n\n[%hardbreaks]\n")
        // An option that has only a short name.
        .replaceAll("(?m)^([*]-.[*]), _", "$1 _")
        .replace(" -- ", " \\-- ")
        .replaceAll("(?<!^|\n)[+]", "{plus}")
        + page.substring(text.length());
  }
}

/** The command line, {@code ./xolotl}. */
@org.jspecify.annotations.NullMarked
module io.xolotl.cli {
  requires static transitive org.jspecify;
  requires com.fasterxml.jackson.core;
  requires io.xolotl.bench;
  requires io.xolotl.lab;
  requires io.xolotl.xol;
  requires info.picocli;
  requires jdk.unsupported; // sun.misc.Signal

  opens io.xolotl.cli to
      info.picocli;

  provides System.LoggerFinder with io.xolotl.cli.LogLines;
}

package io.xolotl.cli;

import io.xolotl.decoder.Classification;
import io.xolotl.decoder.DecodedInstruction;
import io.xolotl.decoder.Decoder;
import io.xolotl.decoder.Decoding;
import io.xolotl.decoder.MachineMode;
import io.xolotl.decoder.RelocationPolicy;
import io.xolotl.decoder.Undecodable;
import io.xolotl.xol.elf.CodeFile;
import java.io.IOException;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ParentCommand;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;

/** Says what happens to instructions out of line. */
@Command(name = "classify", mixinStandardHelpOptions = true, sortOptions = false,
    header = "Says what happens to instructions, or why they are refused.",
    customSynopsis = {
        "xolotl classify --hex BYTES [--address ADDRESS] [--i386] [OPTIONS]",
        "       xolotl classify FILE[:SYMBOL] [--summary] [OPTIONS]"},
    description = "Prints how each instruction would be executed out of line if there were a probe on it. "
        + "Needs no process.",
    footerHeading = Xolotl.EXAMPLES, footer = {
        "  xolotl classify --hex '48 8b 05 10 00 00 00'",
        "  xolotl classify --i386 --hex 'e8 00 00 00 00 58'   # the same of 32-bit code",
        "  xolotl classify /lib64/ld-linux-x86-64.so.2:_start # a function",
        "  xolotl classify /bin/bash --summary                # all of a program"})
final class ClassifyCommand implements Callable<Integer> {

  @ParentCommand
  @SuppressWarnings("NullAway.Init") // picocli's
  private Xolotl xolotl;

  @Spec
  @SuppressWarnings("NullAway.Init") // picocli's
  private CommandSpec command;

  @Parameters(arity = "0..1", paramLabel = "FILE[:SYMBOL]",
      description = "All executable sections of an ELF file from beginning to end (with --summary: its "
          + "functions), or one of its functions.")
  private @Nullable String file;

  @Option(names = "--hex", paramLabel = "BYTES", converter = HexConverter.class,
      description = "Instructions as hexadecimal digits; spaces do not matter.")
  private @Nullable Bytes hex;

  @Option(names = "--address", paramLabel = "ADDRESS", converter = AddressConverter.class,
      description = "Where the first of the --hex bytes is (default: 0x0).")
  private @Nullable Long address;

  @Option(names = "--i386",
      description = "The --hex bytes are 32-bit code. The header of a FILE says which code it has.")
  private boolean i386;

  @Option(names = "--policy", paramLabel = "POLICY", converter = ProbeOptions.PolicyConverter.class,
      defaultValue = "full",
      description = "full (the default), or strict: refuse what cannot be copied unchanged.")
  private RelocationPolicy policy = RelocationPolicy.FULL;

  @Option(names = "--summary",
      description = "Print only how many instructions have each outcome, and how they are executed. A FILE "
          + "is looked at by its functions, which symbols and the unwind table tell, and their share of all "
          + "code is printed; a file that tells of none is looked at as a whole.")
  private boolean summary;

  @Option(names = "--json",
      description = "Print one JSON document.")
  private boolean json;

  /** Not an array by itself: picocli would take that for an option with many values. */
  record Bytes(byte[] array) {}

  /**
   * What to look at.
   *
   * @param size bytes of all code that there is
   */
  private record Input(MachineMode mode, List<CodeFile.Code> code, long size) {
    static Input of(MachineMode mode, List<CodeFile.Code> code) {
      return new Input(mode, code, size(code));
    }

    static long size(List<CodeFile.Code> code) {
      return code.stream().mapToLong(piece -> piece.bytes().length).sum();
    }
  }

  /** Takes one instruction after the other. */
  private interface Sink {
    void accept(Decoding decoding, byte[] bytes, Classification classification) throws IOException;
  }

  @Override
  public Integer call() throws IOException {
    xolotl.refuseLaunch(command);
    if ((hex == null) == (file == null)) {
      throw new ParameterException(command.commandLine(), "Give either --hex BYTES or FILE[:SYMBOL]");
    }
    if (file == null ? summary : address != null || i386) {
      throw new ParameterException(command.commandLine(),
          "--summary needs FILE[:SYMBOL]; --address and --i386 need --hex");
    }
    Input input = hex != null
        ? Input.of(i386 ? MachineMode.COMPAT_32 : MachineMode.LONG_64,
            List.of(new CodeFile.Code("", address == null ? 0 : address, hex.array())))
        : xolotl.shell().interruption().cuttingShort(() -> read(String.valueOf(file)));
    Decoder decoder = Decoder.forThisCpu(input.mode());
    List<CodeFile.Code> code = input.code();
    xolotl.shell().print(out -> {
      if (summary) {
        var counts = new ClassificationSummary(Input.size(code), input.size());
        sweep(decoder, code, (_, _, classification) -> counts.add(classification));
        counts.write(out, String.valueOf(file), json);
      } else if (json) {
        var document = new JsonWriter(out).beginObject().name("instructions").beginArray();
        sweep(decoder, code,
            (decoding, bytes, classification) -> write(document, decoding, bytes, classification));
        document.endArray().endObject();
        out.write('\n');
      } else {
        sweep(decoder, code,
            (decoding, bytes, classification) -> write(out, decoding, bytes, classification));
      }
    });
    return Xolotl.DONE;
  }

  /** A file may have a colon in its name: only what does not exist as a whole is taken apart. */
  private Input read(String what) {
    int colon = what.lastIndexOf(':');
    if (colon < 0 || Files.exists(Path.of(what))) {
      CodeFile whole = CodeFile.open(Path.of(what));
      List<CodeFile.Code> sections = whole.sections();
      if (sections.isEmpty()) {
        throw new Failure(what + " has no executable sections");
      }
      // A summary is of what is executed: between functions compilers put tables, which are no instructions.
      List<CodeFile.Code> functions = summary ? whole.functions() : List.of();
      return new Input(whole.mode(), functions.isEmpty() ? sections : functions, Input.size(sections));
    }
    CodeFile file = CodeFile.open(Path.of(what.substring(0, colon)));
    return Input.of(file.mode(), List.of(file.function(what.substring(colon + 1))));
  }

  private void sweep(Decoder decoder, List<CodeFile.Code> code, Sink sink) throws IOException {
    Interruption interruption = xolotl.shell().interruption();
    for (CodeFile.Code piece : code) {
      byte[] bytes = piece.bytes();
      for (int offset = 0, length; offset < bytes.length && !interruption.isRequested(); offset += length) {
        Decoding decoding = decoder.decode(bytes, offset, bytes.length - offset, piece.address() + offset);
        // An instruction that the end of the code cuts off is one instruction, not as many as there are
        // bytes.
        length = decoding instanceof Undecodable(_, _, var reason) && reason == Undecodable.Reason.TRUNCATED
            ? bytes.length - offset
            : decoding.length();
        sink.accept(decoding, Arrays.copyOfRange(bytes, offset, offset + length),
            Classification.of(decoding, policy));
      }
    }
  }

  private static String text(Decoding decoding) {
    return switch (decoding) {
      case DecodedInstruction instruction -> instruction.text();
      case Undecodable _ -> "(bad)";
    };
  }

  private static void write(JsonWriter document, Decoding decoding, byte[] bytes,
      Classification classification)
      throws IOException {
    document.beginObject().name("address").value(Names.hex(decoding.address())).name("length")
        .value(bytes.length)
        .name("bytes").value(HexFormat.of().formatHex(bytes)).name("text").value(text(decoding))
        .name("outcome").value(classification.outcome().label()).name("reason")
        .value(classification instanceof Classification.Refuse(var reason) ? reason.name() : null)
        .endObject();
  }

  private static void write(Writer out, Decoding decoding, byte[] bytes, Classification classification)
      throws IOException {
    String outcome = classification.outcome().label();
    out.write(String.format(Locale.ROOT, "%14s  %-30s  %-16s  %s%s%n", Names.hex(decoding.address()),
        HexFormat.of().formatHex(bytes), outcome, text(decoding),
        classification instanceof Classification.Refuse(var reason) ? "  # " + reason.description() : ""));
  }

  static final class HexConverter implements ITypeConverter<Bytes> {
    @Override
    public Bytes convert(String value) {
      String digits = value.replaceAll("\\s", "");
      if (digits.isEmpty() || digits.length() % 2 != 0 || !digits.chars().allMatch(HexFormat::isHexDigit)) {
        throw new TypeConversionException("'" + value + "' is no sequence of bytes such as 488b0510000000");
      }
      return new Bytes(HexFormat.of().parseHex(digits));
    }
  }

  static final class AddressConverter implements ITypeConverter<Long> {
    @Override
    public Long convert(String value) {
      return Names.parseAddress(value);
    }
  }
}

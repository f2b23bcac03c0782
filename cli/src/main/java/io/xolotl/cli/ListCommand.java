package io.xolotl.cli;

import io.xolotl.ptrace.MemoryMapping;
import io.xolotl.xol.ModuleFunction;
import io.xolotl.xol.ProbeException;
import io.xolotl.xol.ProbeLocation;
import io.xolotl.xol.ProbedProcess;
import io.xolotl.xol.ProbingOptions;
import java.io.IOException;
import java.io.Writer;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ParentCommand;

/** Shows what can be named in a location. */
@Command(name = "list", mixinStandardHelpOptions = true, sortOptions = false,
    header = "Shows the modules of a process, or the functions of a module.",
    customSynopsis = {
        "xolotl list -p PID [MODULE[:GLOB]] [--json]",
        "       xolotl list [MODULE[:GLOB]] [--json] -- COMMAND ARGS"},
    description = "A launched program is killed when its libraries are loaded, before any of its code runs.",
    footerHeading = Xolotl.EXAMPLES, footer = {
        "  xolotl list -p 1234                    # the modules",
        "  xolotl list -p 1234 'libc.so.6:mall*'  # functions that match",
        "  xolotl list libstdc++.so.6 -- gdb      # all functions"})
final class ListCommand implements Callable<Integer> {

  @ParentCommand
  @SuppressWarnings("NullAway.Init") // picocli's
  private Xolotl xolotl;

  @Mixin
  private final TargetOptions target = new TargetOptions();

  @Parameters(arity = "0..1", paramLabel = "MODULE[:GLOB]",
      description = "Show the functions of this module that have a name which matches GLOB; * stands for "
          + "any characters, ? for one.")
  private @Nullable String what;

  @Option(names = "--json",
      description = "Print one JSON document.")
  private boolean json;

  /** A file of which code is mapped. */
  private record Module(String name, String path, long start, long end) {}

  @Override
  public Integer call() throws IOException {
    Shell.Report report;
    try (Session session = target.open(xolotl, json, ProbingOptions.defaults())) {
      report = list(session.process());
    }
    // Only now, when no process is held while somebody reads.
    xolotl.shell().print(report);
    return Xolotl.DONE;
  }

  private Shell.Report list(ProbedProcess process) {
    if (what == null) {
      List<Module> modules = modules(process.mappings());
      return out -> write(out, modules);
    }
    String asked = what;
    return xolotl.shell().interruption().cuttingShort(() -> functions(process, asked));
  }

  /** The module is as long as can be: names of both may have colons. */
  private Shell.Report functions(ProbedProcess process, String asked) {
    ProbeException why = null;
    for (int colon = asked.length(); colon > 0; colon = asked.lastIndexOf(':', colon - 1)) {
      String module = asked.substring(0, colon);
      String name = colon == asked.length() ? "*" : asked.substring(colon + 1);
      try {
        List<ModuleFunction> all = process.functions(module);
        // What is in the list is found by its name, whatever is in that.
        List<ModuleFunction> exact = all.stream().filter(function -> function.names().contains(name))
            .toList();
        List<ModuleFunction> functions = exact.isEmpty() ? Wanted.matching(all, name) : exact;
        return out -> write(out, module, functions);
      } catch (ProbeException e) {
        if (e.reason() != ProbeException.Reason.MODULE_NOT_FOUND) {
          throw e;
        }
        why = e;
      }
    }
    throw why == null ? new Failure("the module has no name") : why;
  }

  private static List<Module> modules(List<MemoryMapping> mappings) {
    var byPath = new LinkedHashMap<String, List<MemoryMapping>>();
    for (MemoryMapping mapping : mappings) {
      if (mapping.path().startsWith("/") || mapping.path().equals("[vdso]")) {
        byPath.computeIfAbsent(mapping.path(), _ -> new ArrayList<>()).add(mapping);
      }
    }
    var modules = new ArrayList<Module>();
    for (Map.Entry<String, List<MemoryMapping>> entry : byPath.entrySet()) {
      List<MemoryMapping> parts = entry.getValue();
      if (parts.stream().anyMatch(MemoryMapping::isExecutable)) {
        String path = entry.getKey();
        modules.add(new Module(path.substring(path.lastIndexOf('/') + 1), path, parts.getFirst().start(),
            parts.getLast().end()));
      }
    }
    return modules;
  }

  private void write(Writer out, List<Module> modules) throws IOException {
    if (!json) {
      for (Module module : modules) {
        out.write(
            String.format(Locale.ROOT, "%14s-%-14s  %s%n", Names.hex(module.start()), Names.hex(module.end()),
                Visible.of(module.path())));
      }
      return;
    }
    var document = new JsonWriter(out).beginObject().name("modules").beginArray();
    for (Module module : modules) {
      document.beginObject().name("name").value(module.name()).name("path").value(module.path())
          .name("start").value(Names.hex(module.start())).name("end").value(Names.hex(module.end()))
          .endObject();
    }
    document.endArray().endObject();
    out.write('\n');
  }

  /** Names that are others' too are no locations, so there is one beside them. */
  private static String names(ModuleFunction function) {
    String names = String.join(", ", function.names());
    return function.location() instanceof ProbeLocation.FileAddress place ? names + "  " + place : names;
  }

  private void write(Writer out, String module, List<ModuleFunction> functions) throws IOException {
    if (!json) {
      for (ModuleFunction function : functions) {
        out.write(
            String.format(Locale.ROOT, "%14s  %8d  %s%n", Names.hex(function.address()), function.size(),
                Visible.of(names(function))));
      }
      return;
    }
    var document = new JsonWriter(out).beginObject().name("module").value(module).name("functions")
        .beginArray();
    for (ModuleFunction function : functions) {
      document.beginObject().name("address").value(Names.hex(function.address()))
          .name("size").value(function.size()).name("location").value(function.location().toString())
          .name("names").beginArray();
      for (String name : function.names()) {
        document.value(name);
      }
      document.endArray().endObject();
    }
    document.endArray().endObject();
    out.write('\n');
  }
}

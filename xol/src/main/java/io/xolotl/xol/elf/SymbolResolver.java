package io.xolotl.xol.elf;

import io.xolotl.ptrace.MemoryMapping;
import io.xolotl.xol.elf.SymbolException.Reason;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Turns names of functions into addresses of a process, and addresses into names.
 *
 * <p>Modules are the files of which the process maps code, or has mapped it and moved into other memory in
 * its place. One is named by its full path, its file name, its {@code DT_SONAME}, or else by the beginning of
 * exactly one file name up to a {@code '.'} or {@code '-'}: {@code libc} for {@code libc.so.6}. A file is
 * opened when one of its symbols is asked for; only a name that is neither a path nor a file name makes the
 * resolver open all of them, for their sonames.
 *
 * <p>The process may run or be stopped, and needs no tracer; its mappings are those of the last
 * {@link #update}.
 *
 * <p>Not safe for use by several threads at once. Parsed files are shared by all resolvers, which may be used
 * by different threads.
 */
// Long because it is the one door to the files of a process: each question is a few lines that find the file.
public final class SymbolResolver {
  /** The ways to name a module, the more exact before the less. */
  private enum ModuleName {
    PATH, FILE_NAME, SONAME, BEGINNING
  }

  private final int pid;
  private final MemoryReader memory;
  private final DebugFiles debugFiles;

  /** By {@link #key}, in the order of their first mappings. */
  private Map<String, ModuleFile> files = Map.of();
  /** The mappings of these files, in ascending order. */
  private MemoryMapping[] mappings = {};
  /** The file of each of {@link #mappings}. */
  private ModuleFile[] owners = {};

  /**
   * A resolver for one process.
   *
   * @param pid the process; its files are read through {@code /proc/PID}
   * @param mappings its mappings, in ascending order
   * @param memory reads its memory
   */
  public SymbolResolver(int pid, List<MemoryMapping> mappings, MemoryReader memory) {
    this(pid, mappings, memory, new DebugFiles(Path.of("/proc/" + pid + "/root"), "/usr/lib/debug"));
  }

  SymbolResolver(int pid, List<MemoryMapping> mappings, MemoryReader memory, DebugFiles debugFiles) {
    this.pid = pid;
    this.memory = memory;
    this.debugFiles = debugFiles;
    update(mappings);
  }

  /**
   * Takes over new mappings, after the process loaded or unloaded a library. Files that are still mapped are
   * not read again.
   *
   * @param current the mappings, in ascending order
   */
  public void update(List<MemoryMapping> current) {
    var grouped = new LinkedHashMap<String, List<MemoryMapping>>();
    var withCode = new HashSet<String>();
    for (MemoryMapping mapping : current) {
      if (isOfFile(mapping)) {
        String key = key(mapping);
        grouped.computeIfAbsent(key, k -> new ArrayList<>()).add(mapping);
        if (mapping.isExecutable()) {
          withCode.add(key);
        }
      }
    }
    Map<MemoryMapping, String> moved = MovedCode.find(current);
    var movedCode = new HashMap<String, List<MemoryMapping>>();
    for (MemoryMapping mapping : current) {
      String from = moved.get(mapping);
      if (from != null) {
        movedCode.computeIfAbsent(from, k -> new ArrayList<>()).add(mapping);
      }
    }
    var updated = new LinkedHashMap<String, ModuleFile>();
    for (var entry : grouped.entrySet()) {
      String key = entry.getKey();
      if (withCode.contains(key)) {
        updated.put(key, updated(files.get(key), entry.getValue(), List.of()));
      } else if (movedCode.containsKey(key)) {
        ModuleFile file = updated(files.get(key), entry.getValue(),
            movedCode.getOrDefault(key, List.of()));
        if (file.isLoaded()) {
          updated.put(key, file);
        }
      }
    }
    files = updated;
    indexMappings(current, moved);
  }

  static boolean isOfFile(MemoryMapping mapping) {
    return mapping.inode() != 0 && mapping.path().startsWith("/") || mapping.path().equals(ModuleFile.VDSO);
  }

  private ModuleFile updated(@Nullable ModuleFile known, List<MemoryMapping> group,
      List<MemoryMapping> code) {
    // Inodes are used again: a library that was rebuilt and loaded anew may look like the one before.
    if (known == null || !known.isCurrent()) {
      return new ModuleFile(pid, group, code, memory, debugFiles);
    }
    return known.isMappedAs(group, code) ? known : known.movedTo(group, code);
  }

  private void indexMappings(List<MemoryMapping> current, Map<MemoryMapping, String> moved) {
    var ofFiles = new ArrayList<MemoryMapping>();
    var theirFiles = new ArrayList<ModuleFile>();
    for (MemoryMapping mapping : current) {
      ModuleFile file = files.get(key(mapping));
      file = file != null ? file : files.get(moved.get(mapping));
      if (file != null) {
        ofFiles.add(mapping);
        theirFiles.add(file);
      }
    }
    mappings = ofFiles.toArray(new MemoryMapping[0]);
    owners = theirFiles.toArray(new ModuleFile[0]);
  }

  /**
   * The same for all mappings of one file, and for no others: a path alone may stand for a file and its
   * replacement.
   */
  static String key(MemoryMapping mapping) {
    return mapping.device() + ' ' + mapping.inode() + ' ' + mapping.path();
  }

  /**
   * Finds a function.
   *
   * <p>A name stands for the default version of a symbol; {@code memcpy@GLIBC_2.2.5} names another one. A
   * global symbol wins over local ones of the same name. An IFUNC stands for the implementation that the
   * process has chosen, as far as the process shows it: nothing is executed to find out.
   *
   * @param module names the module
   * @param symbol names the function in {@code .dynsym}, {@code .symtab} or the {@code .symtab} of the
   *     separate debug file
   * @return where it is
   * @throws SymbolException if there is not exactly one
   */
  public Resolution resolve(String module, String symbol) {
    ModuleFile file = file(module);
    LoadedModule instance = instance(file);
    SymbolEntry entry = file.symbols().find(instance, uniqueName(file), symbol);
    if (entry.kind() == SymbolEntry.Kind.INDIRECT) {
      return new Resolution(symbol, implementation(file, instance, entry), true);
    }
    SymbolTable.Code code = file.symbols().functionAt(entry.address());
    if (code == null) {
      throw new IllegalStateException("no code at the function " + entry);
    }
    return new Resolution(symbol, FunctionRange.of(instance, code), false);
  }

  /**
   * The function that chooses the implementation of an IFUNC.
   *
   * @param module names the module
   * @param symbol names the function in it
   * @return its address in the process; 0 if the symbol is no IFUNC
   * @throws SymbolException if there is not exactly one such symbol
   */
  public long chooser(String module, String symbol) {
    ModuleFile file = file(module);
    LoadedModule instance = instance(file);
    SymbolEntry entry = file.symbols().find(instance, uniqueName(file), symbol);
    return entry.kind() == SymbolEntry.Kind.INDIRECT ? instance.bias() + entry.address() : 0;
  }

  /**
   * A function that the process is known to call, whether or not a symbol names it.
   *
   * @param address its first instruction in the process, unsigned
   * @return null if there is no module, or it cannot be read
   */
  public @Nullable FunctionRange called(long address) {
    ModuleFile file = fileAt(address);
    try {
      LoadedModule instance = file == null ? null : file.instanceAt(address);
      Section section = file == null || instance == null
          ? null
          : file.image().executableSection(address - instance.bias());
      return file == null || instance == null || section == null
          ? null
          : IndirectFunctions.function(file, instance, address - instance.bias(), section, describe(address));
    } catch (SymbolException e) {
      Reading.check();
      return null;
    }
  }

  /**
   * The address in the process of an address of a module's file.
   *
   * @param module names the module
   * @param fileAddress an address in the file's own address space
   * @throws SymbolException if there is not exactly one such module, or it cannot be read
   */
  public long address(String module, long fileAddress) {
    return instance(file(module)).bias() + fileAddress;
  }

  /**
   * Finds the function around an address. The innermost of nested functions wins; a symbol without a size
   * reaches to the next symbol, or the end of its section, but never wins over a function with a size.
   *
   * @param address an address in the process, unsigned
   * @return empty if the address is in no module or in no function of it
   * @throws SymbolException if the module there cannot be read
   */
  public Optional<FunctionRange> functionContaining(long address) {
    ModuleFile file = fileAt(address);
    LoadedModule instance = file == null ? null : file.instanceAt(address);
    if (file == null || instance == null) {
      return Optional.empty();
    }
    SymbolTable.Code code = file.symbols().functionContaining(address - instance.bias());
    return code == null ? Optional.empty() : Optional.of(FunctionRange.of(instance, code));
  }

  /**
   * Finds out whether an instruction starts at an address. It may decode all code of the module, which takes
   * about a second for the largest.
   *
   * @param address an address in the process, unsigned
   * @param called a function that the process was seen to call, which proves its start too; null if none
   * @throws SymbolException if the module there cannot be read
   */
  public Boundary boundary(long address, @Nullable FunctionRange called) {
    ModuleFile file = fileAt(address);
    LoadedModule instance = file == null ? null : file.instanceAt(address);
    if (file == null || instance == null) {
      return Boundary.UNPROVEN;
    }
    return file.boundary(address - instance.bias(), instance.bias(),
        called != null && called.module().equals(instance) ? called.start() - instance.bias() : null);
  }

  /**
   * Finds all exits of the function around an address.
   *
   * @param address an address in the process, unsigned
   * @return empty if the function's extent is not known, or not all in it is code
   * @throws SymbolException if the module there cannot be read
   */
  public Optional<FunctionBody> body(long address) {
    ModuleFile file = fileAt(address);
    LoadedModule instance = file == null ? null : file.instanceAt(address);
    return file == null || instance == null
        ? Optional.empty()
        : Optional.ofNullable(file.body(address - instance.bias(), instance.bias()));
  }

  /**
   * All places where code of the process leaves several functions at once: longjmp, and the unwinders of
   * exceptions. It looks at all code of all modules. A module that cannot be read has none.
   */
  public List<NonlocalExit> nonlocalExits() {
    var result = new ArrayList<NonlocalExit>();
    for (ModuleFile file : files.values()) {
      try {
        List<NonlocalExit> exits = file.nonlocalExits();
        for (LoadedModule module : exits.isEmpty() ? List.<LoadedModule>of() : file.instances()) {
          exits.forEach(exit -> result.add(exit.movedBy(module.bias())));
        }
      } catch (SymbolException e) {
        Reading.check();
        // Who names the module learns what is wrong with it.
      }
    }
    return result;
  }

  /**
   * Whether exceptions are caught at an address, or something is done when one passes.
   *
   * @param address an address in the process, unsigned
   */
  public boolean isLandingPad(long address) {
    ModuleFile file = fileAt(address);
    try {
      LoadedModule module = file == null ? null : file.instanceAt(address);
      return file != null && module != null && file.isLandingPad(address - module.bias());
    } catch (SymbolException e) {
      Reading.check();
      // Nobody could catch there: the unwinder reads the same tables.
      return false;
    }
  }

  /**
   * The function that tells where {@code errno} of a C library is: of the one that an address is in, or else
   * of the only one that the process has.
   *
   * @param address an address in the process, unsigned
   * @return its address in the process
   * @throws SymbolException if there is none, or not only one
   */
  public long errnoFunction(long address) {
    return new ErrnoFunctions(files.values()).of(fileAt(address), address);
  }

  /**
   * Describes an address for people.
   *
   * @param address an address in the process, unsigned
   * @return {@code libc.so.6:malloc+0x4}; without a function {@code libc.so.6+0x1234}, where the number is an
   *     address of the file as {@code addr2line} takes it; {@code a.out+0x1234 (step+0x4)} for one whose
   *     names stand for others too; outside of all modules {@code 0x7f0123456789}
   */
  public String describe(long address) {
    String place = "0x" + Long.toHexString(address);
    try {
      ModuleFile file = fileAt(address);
      LoadedModule module = file == null ? null : file.instanceAt(address);
      if (file != null && module != null) {
        long fileAddress = address - module.bias();
        String moduleName = file.instances().size() == 1 ? uniqueName(file) : null;
        if (moduleName != null) {
          place = moduleName + "+0x" + Long.toHexString(fileAddress);
        }
        SymbolTable.Code code = file.symbols().functionContaining(fileAddress);
        if (code != null) {
          long offset = fileAddress - code.start();
          String behind = offset == 0 ? "" : "+0x" + Long.toHexString(offset);
          List<String> names = code.isIndirect() || moduleName == null
              ? List.of()
              : file.symbols().uniqueNames(code);
          return names.isEmpty()
              ? place + " (" + code.names().getFirst() + behind + ")"
              : moduleName + ':' + names.getFirst() + behind;
        }
      }
    } catch (SymbolException e) {
      Reading.check();
      // The module has no names to give; the place alone is still right.
    }
    return place;
  }

  /** The file name of a module, or its path where others have that name. */
  private String uniqueName(ModuleFile file) {
    boolean unique = files.values().stream().filter(other -> other.name().equals(file.name())).count() == 1;
    return unique ? file.name() : file.path();
  }

  /**
   * All functions of a module, in ascending order of address. Labels at which nothing shows that an
   * instruction starts are none.
   *
   * @param module names the module
   * @throws SymbolException if there is not exactly one such module, or it cannot be read
   */
  public List<FunctionRange> functions(String module) {
    ModuleFile file = file(module);
    LoadedModule instance = instance(file);
    SymbolTable symbols = file.symbols();
    return symbols.functions().stream()
        .filter(code -> code.typed() || file.isStart(code.start()))
        .map(code -> FunctionRange.of(instance, code, symbols.uniqueNames(code))).toList();
  }

  /** The file names of all modules, in the order in which they are mapped; {@code [vdso]} among them. */
  public List<String> moduleNames() {
    return files.values().stream().map(ModuleFile::name).toList();
  }

  /**
   * Finds a module.
   *
   * @param module its path, file name, soname or the beginning of its file name
   * @throws SymbolException if there is not exactly one, or it cannot be read
   */
  public LoadedModule module(String module) {
    return instance(file(module));
  }

  /**
   * Finds the module around an address.
   *
   * @param address an address in the process, unsigned
   * @return null if there is none, or its file cannot be read
   */
  public @Nullable LoadedModule moduleAt(long address) {
    ModuleFile file = fileAt(address);
    try {
      return file == null ? null : file.instanceAt(address);
    } catch (SymbolException e) {
      Reading.check();
      return null;
    }
  }

  /**
   * The sections with a name, of all modules at all their places: the first of each file, since linkers make
   * one. A module that cannot be read has none.
   *
   * @param name the section's name
   */
  public List<LoadedSection> sections(String name) {
    var result = new ArrayList<LoadedSection>();
    for (ModuleFile file : files.values()) {
      try {
        Section section = file.image().loadedSection(name);
        if (section != null) {
          file.instances().forEach(module -> result.add(new LoadedSection(file, module, section)));
        }
      } catch (SymbolException e) {
        Reading.check();
        // Who names the module learns what is wrong with it.
      }
    }
    return result;
  }

  /**
   * The addresses in the code of a module at which, by the signature in front of them, abort handlers of
   * restartable sequences may begin.
   *
   * @param address any address in the module
   * @return addresses in the process, in no order; null if there is no module or its file cannot be read, so
   *     that nobody knows
   */
  public long @Nullable [] abortHandlers(long address) {
    ModuleFile file = fileAt(address);
    try {
      LoadedModule module = file == null ? null : file.instanceAt(address);
      return file == null || module == null
          ? null
          : Arrays.stream(file.abortHandlers()).map(handler -> module.bias() + handler).toArray();
    } catch (SymbolException e) {
      Reading.check();
      return null;
    }
  }

  private FunctionRange implementation(ModuleFile file, LoadedModule instance, SymbolEntry entry) {
    return new IndirectFunctions(files.values(), this::fileAt, memory).implementation(file, instance, entry);
  }

  private static LoadedModule instance(ModuleFile file) {
    List<LoadedModule> instances = file.instances();
    if (instances.size() > 1) {
      throw new SymbolException(Reason.MODULE_AMBIGUOUS, file.name() + " is loaded " + instances.size()
          + " times, at "
          + SymbolException
              .shown(instances.stream().map(module -> "0x" + Long.toHexString(module.start())).toList())
          + "; give an address instead of a symbol");
    }
    return instances.getFirst();
  }

  private @Nullable ModuleFile fileAt(long address) {
    int low = 0;
    int high = mappings.length - 1;
    while (low <= high) {
      int middle = low + high >>> 1;
      if (mappings[middle].contains(address)) {
        return owners[middle];
      }
      if (Long.compareUnsigned(mappings[middle].start(), address) < 0) {
        low = middle + 1;
      } else {
        high = middle - 1;
      }
    }
    return null;
  }

  private ModuleFile file(String module) {
    for (ModuleName kind : ModuleName.values()) {
      var matching = new ArrayList<ModuleFile>();
      for (ModuleFile file : files.values()) {
        if (matches(file, kind, module)) {
          matching.add(file);
        }
      }
      if (matching.size() == 1) {
        return matching.getFirst();
      }
      if (!matching.isEmpty()) {
        throw new SymbolException(Reason.MODULE_AMBIGUOUS, "'" + module + "' may be any of "
            + SymbolException.shown(matching.stream().map(ModuleFile::path).toList()) + "; name one of them");
      }
    }
    List<String> nearest = NearestNames.of(module.substring(module.lastIndexOf('/') + 1), moduleNames());
    throw new SymbolException(Reason.MODULE_NOT_FOUND, "process " + pid + " has no module '" + module + "'; "
        + (nearest.isEmpty() ? "it maps no code from files" : "nearest: " + String.join(", ", nearest)));
  }

  private static boolean matches(ModuleFile file, ModuleName kind, String module) {
    return switch (kind) {
      case PATH -> file.path().equals(module);
      case FILE_NAME -> file.name().equals(module);
      case SONAME -> module.equals(soname(file));
      case BEGINNING -> !module.isEmpty() && file.name().startsWith(module)
          && ".-".indexOf(file.name().charAt(module.length())) >= 0;
    };
  }

  private static @Nullable String soname(ModuleFile file) {
    try {
      return file.image().soname();
    } catch (SymbolException e) {
      Reading.check();
      // A file that cannot be read must not hide the others; who names it learns what is wrong with it.
      return null;
    }
  }
}

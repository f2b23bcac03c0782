package io.xolotl.ptrace;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Whether this module may call native code. Whoever lacks the flag for more than one module must not be told
 * of one first and of the other at the next attempt.
 */
final class NativeAccess {

  /** All that calls native code, as far as it is there. */
  private static final List<String> MODULES = List.of("io.xolotl.ptrace", "io.xolotl.lab", "io.xolotl.bench");

  private NativeAccess() {}

  /** Returns what to do so that all modules that are there get native access, or null if this one has it. */
  static @Nullable String denial() {
    Module self = NativeAccess.class.getModule();
    if (self.isNativeAccessEnabled()) {
      return null;
    }
    ModuleLayer layer = self.getLayer();
    if (layer == null) {
      return "Xolotl on the class path may not call native code: start java with "
          + "--enable-native-access=ALL-UNNAMED";
    }
    List<Module> present = MODULES.stream().flatMap(name -> layer.findModule(name).stream())
        .filter(module -> module.getLayer() == layer).toList();
    List<String> denied = present.stream().filter(module -> !module.isNativeAccessEnabled())
        .map(Module::getName).toList();
    return String.join(" and ", denied) + " may not call native code: "
        + (layer == ModuleLayer.boot()
            ? "start java with --enable-native-access="
                + String.join(",", present.stream().map(Module::getName).toList())
            : "call enableNativeAccess for each on the ModuleLayer.Controller of their layer");
  }
}

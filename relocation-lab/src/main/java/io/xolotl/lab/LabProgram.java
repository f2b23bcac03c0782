package io.xolotl.lab;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** The programs of this module. */
public enum LabProgram implements BundledProgram {

  /** Executes single instructions for {@link io.xolotl.lab.oracle.Oracle}: {@code oracle CPU}. */
  ORACLE;

  private static final String SUPERVISOR = "supervisor";

  /** Holder: looked for when a program is first asked for. */
  private static final class Programs {
    static final ProgramFiles FILES = new ProgramFiles(LabProgram.class::getResource,
        List.of(SUPERVISOR, "oracle", "oracle.symbols"), Set.of());
  }

  /** {@return the parent of every target} */
  public static Path supervisor() {
    return Programs.FILES.path(SUPERVISOR);
  }

  @Override
  public Path path() {
    return Programs.FILES.path("oracle");
  }

  @Override
  public boolean hasFixedAddress() {
    return true;
  }

  @Override
  public Map<String, Long> symbols() {
    return Programs.FILES.symbols("oracle");
  }
}

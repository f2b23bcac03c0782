package io.xolotl.decoder;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Where memory that was written cannot be executed, and a directory is what one likes. */
public final class Namespaces {

  private Namespaces() {}

  /**
   * Returns what runs the command behind it where memfds cannot be executed and the directory is a file
   * system with the given options. The sysctl is one of the PID namespace (kernel/pid_sysctl.h). The test is
   * skipped if there are no such namespaces.
   */
  public static List<String> confined(Path directory, String mountOptions)
      throws IOException, InterruptedException {
    var command = new ArrayList<>(
        List.of("unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork",
            "--mount-proc", "sh", "-c", """
                echo 2 > /proc/sys/vm/memfd_noexec && mount -t tmpfs -o "$0" none "$1" && shift && exec "$@"
                """, mountOptions, directory.toString()));
    var test = new ArrayList<>(command);
    test.add("true");
    Process process = new ProcessBuilder(test).redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assumeTrue(process.waitFor() == 0, "namespaces cannot be made here: " + output);
    return command;
  }
}

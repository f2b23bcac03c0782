package io.xolotl.bench;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class EnvironmentTest {

  private static void write(Path root, String file, String text) throws IOException {
    Path path = root.resolve(file);
    Files.createDirectories(path.getParent());
    Files.writeString(path, text);
  }

  @Test
  void whatAMachineSaysOfItself(@TempDir Path root) throws IOException {
    write(root, "proc/cpuinfo", """
        processor\t: 0
        model name\t: A CPU: fast
        flags\t\t: fpu hypervisor sse
        """);
    write(root, "proc/loadavg", "0.25 1.50 12.00 3/149 7880\n");
    write(root, "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n");
    write(root, "sys/devices/system/cpu/cpu10/cpufreq/scaling_governor", "performance\n");
    write(root, "sys/devices/system/cpu/vulnerabilities/spectre_v2", "Mitigation: Retpolines; IBPB\n");
    write(root, "sys/devices/system/cpu/vulnerabilities/meltdown", "Not affected\n");
    Environment environment = Environment.read(root, "1.2");
    assertThat(environment.version()).isEqualTo("1.2");
    assertThat(environment.cpu()).isEqualTo("A CPU: fast");
    assertThat(environment.hypervisor()).isTrue();
    assertThat(environment.loadAverage()).containsExactly(0.25, 1.5, 12.0);
    assertThat(environment.governor()).isEqualTo("performance, powersave");
    assertThat(environment.mitigations()).containsExactly(Map.entry("meltdown", "Not affected"),
        Map.entry("spectre_v2", "Mitigation: Retpolines; IBPB"));
    assertThat(environment.machine()).startsWith("A CPU: fast, ").contains(" CPUs, Linux ");
  }

  @Test
  void whatAMachineDoesNotSay(@TempDir Path root) {
    Environment environment = Environment.read(root, "1.2");
    assertThat(environment.cpu()).isEqualTo("unknown CPU");
    assertThat(environment.hypervisor()).isFalse();
    assertThat(environment.loadAverage()).isEmpty();
    assertThat(environment.governor()).isNull();
    assertThat(environment.mitigations()).isEmpty();
  }

  @Test
  void thisMachine() {
    Environment environment = Environment.read("1.2");
    assertThat(environment.loadAverage()).hasSize(3);
    assertThat(environment.cpus()).isPositive();
    assertThat(environment.jdkVersion()).isNotEmpty();
    assertThat(environment.jdkVendor()).isNotEmpty();
    assertThat(environment.kernel()).isNotEmpty();
    assertThat(environment.differencesFrom(environment)).isEmpty();
  }

  @Test
  void timeAndLoadAreNoDifference() {
    var one = new Environment("1", "25", "V", "6.1", "A", 2, false, Instant.EPOCH, List.of(), "powersave",
        new TreeMap<>(Map.of("meltdown", "Not affected", "mds", "Vulnerable")));
    var other = new Environment("2", "26", "W", "6.2", "B", 4, true, Instant.EPOCH.plus(Duration.ofDays(1)),
        List.of(1.0), null, new TreeMap<>(Map.of("meltdown", "Not affected", "srso", "Vulnerable")));
    assertThat(other.differencesFrom(one)).extracting(Environment.Difference::toString).containsExactly(
        "version: 1 before, 2 now", "jdkVersion: 25 before, 26 now", "jdkVendor: V before, W now",
        "kernel: 6.1 before, 6.2 now", "cpu: A before, B now", "cpus: 2 before, 4 now",
        "hypervisor: false before, true now", "governor: powersave before, none now",
        "mitigations.srso: none before, Vulnerable now", "mitigations.mds: Vulnerable before, none now");
  }
}

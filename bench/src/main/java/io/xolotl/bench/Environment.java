package io.xolotl.bench;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Where and when something was measured: what somebody else must know who compares results. What the system
 * does not tell is missing, and no mistake.
 *
 * @param version Xolotl's
 * @param jdkVersion the version of the JVM's JDK
 * @param jdkVendor who made it
 * @param kernel the release of the kernel
 * @param cpu the model of the CPU
 * @param cpus how many of them this process may use
 * @param hypervisor true on a virtual machine
 * @param date when measuring began, in whole seconds
 * @param loadAverage what the kernel has as the load of the last 1, 5 and 15 minutes, at that time
 * @param governor how the kernel chooses the clock of the CPUs; null where it does not
 * @param mitigations what the kernel does about each vulnerability of the CPU
 */
public record Environment(String version, String jdkVersion, String jdkVendor, String kernel, String cpu,
    int cpus, boolean hypervisor, Instant date, List<Double> loadAverage, @Nullable String governor,
    SortedMap<String, String> mitigations) {

  private static final String UNKNOWN_CPU = "unknown CPU";
  private static final int LOADS = 3;
  private static final String NONE = "none";

  /**
   * Something that two environments do not have in common.
   *
   * @param what its name
   * @param before what it was
   * @param now what it is
   */
  public record Difference(String what, String before, String now) {
    @Override
    public String toString() {
      return what + ": " + before + " before, " + now + " now";
    }
  }

  /**
   * Reads what this machine says of itself now.
   *
   * @param version Xolotl's
   */
  public static Environment read(String version) {
    return read(Path.of("/"), version);
  }

  /** The same, with another directory as the root of /proc and /sys. */
  static Environment read(Path root, String version) {
    Path devices = root.resolve("sys/devices/system/cpu");
    List<String> cpuInfo = lines(root.resolve("proc/cpuinfo"));
    return new Environment(version, System.getProperty("java.runtime.version", ""),
        System.getProperty("java.vendor", ""), System.getProperty("os.version", ""),
        cpuInfo(cpuInfo, "model name").orElse(UNKNOWN_CPU), Runtime.getRuntime().availableProcessors(),
        cpuInfo(cpuInfo, "flags").stream().flatMap(flags -> Arrays.stream(flags.split(" ")))
            .anyMatch("hypervisor"::equals),
        Instant.now().truncatedTo(ChronoUnit.SECONDS), loadAverage(root.resolve("proc/loadavg")),
        governor(devices), mitigations(devices.resolve("vulnerabilities")));
  }

  private static Optional<String> cpuInfo(List<String> lines, String name) {
    return lines.stream().filter(line -> line.startsWith(name)).findFirst()
        .map(line -> line.substring(line.indexOf(':') + 1).strip());
  }

  private static List<Double> loadAverage(Path file) {
    return lines(file).stream().flatMap(line -> Arrays.stream(line.split(" ")).limit(LOADS))
        .map(Double::valueOf).toList();
  }

  /** All that the CPUs have; mostly they have the same. */
  private static @Nullable String governor(Path devices) {
    var governors = new TreeSet<String>();
    for (Path cpu : entries(devices, "cpu[0-9]*")) {
      governors.addAll(lines(cpu.resolve("cpufreq/scaling_governor")));
    }
    return governors.isEmpty() ? null : String.join(", ", governors);
  }

  private static SortedMap<String, String> mitigations(Path directory) {
    var mitigations = new TreeMap<String, String>();
    for (Path file : entries(directory, "*")) {
      mitigations.put(String.valueOf(file.getFileName()), String.join(" ", lines(file)));
    }
    return mitigations;
  }

  private static List<String> lines(Path file) {
    try (Stream<String> lines = Files.lines(file)) {
      return lines.toList();
    } catch (IOException | UncheckedIOException e) {
      return List.of();
    }
  }

  private static List<Path> entries(Path directory, String glob) {
    var entries = new ArrayList<Path>();
    try (DirectoryStream<Path> stream = Files.newDirectoryStream(directory, glob)) {
      stream.forEach(entries::add);
    } catch (IOException | DirectoryIteratorException e) {
      return List.of();
    }
    return entries;
  }

  /** The machine in a line. */
  public String machine() {
    return "%s, %d CPUs, Linux %s".formatted(cpu, cpus, kernel);
  }

  /** What is not as it was in an earlier environment; the time and the load never are. */
  public List<Difference> differencesFrom(Environment before) {
    Map<String, String> then = before.traits();
    Map<String, String> now = traits();
    var names = new LinkedHashSet<>(now.keySet());
    names.addAll(then.keySet());
    return names.stream()
        .map(name -> new Difference(name, then.getOrDefault(name, NONE), now.getOrDefault(name, NONE)))
        .filter(difference -> !difference.before().equals(difference.now())).toList();
  }

  private Map<String, String> traits() {
    var traits = new LinkedHashMap<String, String>();
    traits.put("version", version);
    traits.put("jdkVersion", jdkVersion);
    traits.put("jdkVendor", jdkVendor);
    traits.put("kernel", kernel);
    traits.put("cpu", cpu);
    traits.put("cpus", Integer.toString(cpus));
    traits.put("hypervisor", Boolean.toString(hypervisor));
    traits.put("governor", governor == null ? NONE : governor);
    mitigations.forEach((name, mitigation) -> traits.put("mitigations." + name, mitigation));
    return traits;
  }
}

package io.xolotl.ptrace;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** What becomes of idle CPUs of this machine while stops follow one another within microseconds. */
public enum IdleCpus {

  /** They sleep, as without a tracer. */
  SLEEP,

  /**
   * All CPUs of the machine are kept awake. A thread that stops leaves its CPU idle, and to wake that up
   * takes longer than all else that is done for a stop, on a virtual machine twice as long. The kernel is
   * asked for it by holding {@code /dev/cpu_dma_latency} open (Documentation/power/pm_qos_interface.rst), so
   * that the request ends with this process at the latest; a handler on the tracer thread that blocks
   * prolongs it. Whoever may not do that, and mostly only root may, gets nothing by it.
   */
  AWAKE;

  static final Path LATENCY = Path.of("/dev/cpu_dma_latency");

  private static final Path DRIVER = Path.of("/sys/devices/system/cpu/cpuidle/current_driver");

  /** The driver for guests of KVM. */
  private static final String GUEST = "haltpoll";

  /** With more CPUs it would cost others more than it gives here. */
  private static final int FEW = 4;

  /**
   * {@return what suits this machine: {@link #AWAKE} on a virtual machine with at most four CPUs, if this
   * user may keep them awake}
   */
  public static IdleCpus suitable() {
    try {
      return Runtime.getRuntime().availableProcessors() <= FEW && Files.isWritable(LATENCY)
          && Files.exists(DRIVER) && Files.readString(DRIVER).strip().equals(GUEST) ? AWAKE : SLEEP;
    } catch (IOException unknown) {
      return SLEEP;
    }
  }
}

package io.xolotl.xol;

import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.lab.LabProgram;
import io.xolotl.lab.ProcFs;
import io.xolotl.lab.TargetProcess;
import io.xolotl.ptrace.MemoryMapping;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;

/**
 * Probes that come and go in any order: each copy has its slot to itself, and the code is whole afterwards.
 */
class SlotsTest {

  private static final int CODE_BYTES = 0x2_0000;
  private static final long LOW_CODE = 0x6000_0000L;
  private static final int SLOT_BYTES = 32;
  private static final int BLOCK_BYTES = 64 << 10;
  /** mov eax, N: no two alike. */
  private static final int LENGTH = 5;
  private static final int SITES = 5_000;
  private static final int ROUNDS = 40;

  /**
   * Fills code of the oracle program, which is there for that, with instructions that tell from which they
   * are a copy.
   */
  private static byte[] fill(TargetProcess target) throws Exception {
    byte[] code = new byte[CODE_BYTES];
    for (int i = 0; i < SITES; i++) {
      code[i * LENGTH] = (byte) 0xb8;
      for (int j = 0; j < 4; j++) {
        code[i * LENGTH + 1 + j] = (byte) (0x5a000000 + i >> 8 * j);
      }
    }
    try (var memory = new RandomAccessFile("/proc/" + target.pid() + "/mem", "rw")) {
      memory.seek(LOW_CODE);
      memory.write(code);
    }
    return code;
  }

  @Test
  void neverOverlapAndLeaveNothingBehind() throws Exception {
    try (var target = TargetProcess.start(LabProgram.ORACLE)) {
      neverOverlapAndLeaveNothingBehind(target);
    }
  }

  private static void neverOverlapAndLeaveNothingBehind(TargetProcess target) throws Exception {
    byte[] code = fill(target);
    var random = new Random(20101123);
    Map<Integer, Probe> probes = new HashMap<>();
    try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
      for (int round = 0; round < ROUNDS; round++) {
        List<Integer> added = random.ints(random.nextInt(200), 0, SITES).distinct()
            .filter(i -> !probes.containsKey(i)).boxed().toList();
        List<Probe> registered = process.register(added.stream()
            .map(i -> ProbeRequest.at(LOW_CODE + (long) i * LENGTH, hit -> {}).trustingBoundary()).toList());
        for (int i = 0; i < added.size(); i++) {
          probes.put(added.get(i), registered.get(i));
        }
        for (int i : List.copyOf(probes.keySet())) {
          if (random.nextInt(3) == 0) {
            probes.remove(i).unregister();
          }
        }
        assertSlots(target, probes);
        assertCode(target, code, probes);
      }
      for (Probe probe : probes.values()) {
        probe.unregister();
      }
      assertCode(target, code, Map.of());
    }
    assertThat(ProcFs.memory(target.pid(), LOW_CODE, CODE_BYTES)).isEqualTo(code);
  }

  /** Every probe has exactly one copy, whole, at the start of a slot. */
  private static void assertSlots(TargetProcess target, Map<Integer, Probe> probes) throws IOException {
    Map<Integer, List<Long>> copies = new HashMap<>();
    for (MemoryMapping mapping : MemoryMapping.of(target.pid())) {
      if (mapping.permissions().equals("r-xp") && mapping.path().isEmpty() && mapping.size() == BLOCK_BYTES) {
        byte[] block = ProcFs.memory(target.pid(), mapping.start(), BLOCK_BYTES);
        for (int i = 0; i + LENGTH <= block.length; i++) {
          int number = (block[i + 1] & 0xff) + ((block[i + 2] & 0xff) << 8);
          if (block[i] == (byte) 0xb8 && block[i + 3] == 0 && block[i + 4] == 0x5a && number < SITES) {
            copies.computeIfAbsent(number, n -> new ArrayList<>()).add(mapping.start() + i);
          }
        }
      }
    }
    for (int i : probes.keySet()) {
      assertThat(copies.getOrDefault(i, List.of())).as("copies of instruction %d", i).isNotEmpty()
          .allMatch(slot -> slot % SLOT_BYTES == 0);
    }
    List<Long> all = copies.values().stream().flatMap(List::stream).toList();
    assertThat(all).doesNotHaveDuplicates();
  }

  private static void assertCode(TargetProcess target, byte[] code, Map<Integer, Probe> probes) {
    byte[] expected = code.clone();
    probes.keySet().forEach(i -> expected[i * LENGTH] = (byte) 0xcc);
    assertThat(ProcFs.memory(target.pid(), LOW_CODE, CODE_BYTES)).isEqualTo(expected);
  }
}

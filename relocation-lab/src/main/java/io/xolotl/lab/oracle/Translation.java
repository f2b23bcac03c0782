package io.xolotl.lab.oracle;

/**
 * Makes of a result of relocated code what the original would have come to: the same but for what names the
 * copy.
 *
 * @param subject one instruction
 * @param place where its relocated code was executed
 * @param code the relocated code
 */
record Translation(Case subject, Place place, RelocatedCode code) {

  private static final int RCX = 1;
  private static final int EXIT_BYTES = 5;
  private static final int EXIT_DISPLACEMENT = 0xcccc_cccc;

  /** Changes the record of a result. */
  void translate(byte[] record) {
    if (Layout.word(record, Layout.OUT_OUTCOME) != Layout.OUTCOME_SIGNAL) {
      return;
    }
    long rip = Layout.quad(record, Layout.OUT_RIP);
    long offset = rip - place.of(subject.address());
    if (isInside(offset)) {
      RelocatedCode.Fault fault = code.fault((int) offset);
      if (Layout.quad(record, Layout.OUT_ADDRESS) == rip) {
        Layout.putQuad(record, Layout.OUT_ADDRESS, translated(rip));
      }
      Layout.putQuad(record, Layout.OUT_RIP, translated(rip));
      forget(record, fault.stackBytes());
    }
    int number = Layout.word(record, Layout.OUT_SIGNAL);
    if (number == Signal.SIGSYS) {
      // syscall has put the address behind itself there.
      int rcx = Layout.OUT_GENERAL + Long.BYTES * RCX;
      Layout.putQuad(record, rcx, translated(Layout.quad(record, rcx)));
    }
    long exit = subject.address() + subject.length();
    if (number == Signal.SIGTRAP && Layout.word(record, Layout.OUT_CODE) == Signal.TRAP_TRACE
        && rip == exit) {
      // Behind popf with TF one more instruction is executed: in place the exit, here the jump to it.
      Layout.putQuad(record, Layout.OUT_RIP, exit + EXIT_BYTES + EXIT_DISPLACEMENT);
      Layout.putQuad(record, Layout.OUT_ADDRESS, exit + EXIT_BYTES + EXIT_DISPLACEMENT);
    }
  }

  private boolean isInside(long offset) {
    return offset >= 0 && offset < code.length();
  }

  private long translated(long address) {
    long offset = address - place.of(subject.address());
    return isInside(offset) ? subject.address() + code.fault((int) offset).offset() : address;
  }

  /** What was pushed: rsp is where it was, and what is below it does not count. */
  private void forget(byte[] record, int stackBytes) {
    int register = Layout.OUT_GENERAL + Long.BYTES * MachineState.RSP;
    long rsp = Layout.quad(record, register) + stackBytes;
    Layout.putQuad(record, register, rsp);
    for (Region region : Region.values()) {
      long from = rsp - stackBytes - region.address();
      if (region.isWritable() && from >= 0 && from + stackBytes <= Region.BYTES) {
        System.arraycopy(subject.state().memory(region), (int) from, record,
            Layout.region(region) + (int) from, stackBytes);
      }
    }
  }
}

package io.xolotl.ptrace;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * What code is made for: 64-bit code, or 32-bit code under a 64-bit kernel. A process has the one of its
 * program, by which system calls are made in it; at any moment a thread may be in code of the other, which
 * its {@code cs} register tells.
 */
public enum Abi {
  /** 64-bit code, which calls the kernel by {@code syscall}. */
  X86_64(8, 0x33, 0x7fff_ffff_f000L, new byte[]{0x0f, 0x05}, 0xc000_003e, 9, 11, 56, 58, 157, 219,
      List.of(UserRegister.RDI, UserRegister.RSI, UserRegister.RDX, UserRegister.R10, UserRegister.R8,
          UserRegister.R9)),

  /** 32-bit code, which calls the kernel by {@code int 0x80}; the numbers are those of syscall_32.tbl. */
  I386(4, 0x23, 0xffff_e000L, new byte[]{(byte) 0xcd, (byte) 0x80}, 0x4000_0003, 192, 91, 120, 190, 172, 0,
      List.of(UserRegister.RBX, UserRegister.RCX, UserRegister.RDX, UserRegister.RSI, UserRegister.RDI,
          UserRegister.RBP));

  // The kernel's __USER_DS, and what Xen adds to the selectors of paravirtualized guests (FLAT_RING3_CS64 and
  // others).
  private static final long USER_DATA = 0x2b;
  private static final long XEN = 0xe000;

  private static final int HEADER_BYTES = 20;
  private static final int ELFCLASS32 = 1;
  private static final int EM_X86_64 = 62;

  private final int wordBytes;
  private final long codeSegment;
  private final long addressLimit;
  private final byte[] systemCall;
  /** {@code AUDIT_ARCH_X86_64} and its like of include/uapi/linux/audit.h. */
  private final int auditArchitecture;
  private final int mmap;
  private final int munmap;
  private final int cloneNumber;
  private final int vforkNumber;
  private final int prctl;
  private final int restart;
  private final List<UserRegister> arguments;

  Abi(int wordBytes, long codeSegment, long addressLimit, byte[] systemCall, int auditArchitecture, int mmap,
      int munmap, int cloneNumber, int vforkNumber, int prctl, int restart, List<UserRegister> arguments) {
    this.wordBytes = wordBytes;
    this.codeSegment = codeSegment;
    this.addressLimit = addressLimit;
    this.systemCall = systemCall;
    this.auditArchitecture = auditArchitecture;
    this.mmap = mmap;
    this.munmap = munmap;
    this.cloneNumber = cloneNumber;
    this.vforkNumber = vforkNumber;
    this.prctl = prctl;
    this.restart = restart;
    this.arguments = arguments;
  }

  /**
   * {@return the ABI of the code that a thread with these registers is in}
   *
   * @param registers of the thread, in a stop
   */
  public static Abi of(Registers registers) {
    return X86_64.isOf(registers) ? X86_64 : I386;
  }

  /**
   * {@return true if a thread with these registers is in code of this ABI, in the segments that the kernel
   * gives to programs} In others, which modify_ldt(2) makes, addresses count from somewhere else than 0;
   * 64-bit code has no such stack.
   *
   * @param registers of the thread, in a stop
   */
  public boolean isOf(Registers registers) {
    long ss = registers.get(UserRegister.SS) & ~XEN;
    return (registers.get(UserRegister.CS) & ~XEN) == codeSegment && (this == X86_64 || ss == USER_DATA);
  }

  /**
   * The ABI of the program that a process executes. Programs of the x32 ABI are made of 64-bit code.
   *
   * @param tid a thread of the process
   */
  static Abi ofProgram(int tid) {
    try (InputStream exe = Files.newInputStream(Path.of("/proc/" + tid + "/exe"))) {
      ByteBuffer header = ByteBuffer.wrap(exe.readNBytes(HEADER_BYTES)).order(ByteOrder.LITTLE_ENDIAN);
      return header.limit() == HEADER_BYTES && header.get(4) == ELFCLASS32 && header.getShort(18) != EM_X86_64
          ? I386
          : X86_64;
    } catch (IOException e) {
      // It has ended, which the next request finds out.
      return X86_64;
    }
  }

  /** {@return the size in bytes of an address, and of what a call pushes} */
  public int wordBytes() {
    return wordBytes;
  }

  /** {@return the instruction that calls the kernel} */
  public byte[] systemCall() {
    return systemCall.clone();
  }

  /**
   * Moves a thread that may be in other code to where its process's system call instruction means a system
   * call.
   */
  void enter(Registers registers) {
    if (!isOf(registers)) {
      registers.set(UserRegister.CS, codeSegment);
      registers.set(UserRegister.SS, USER_DATA);
    }
  }

  /** The register of a system call's argument. */
  UserRegister argument(int index) {
    return arguments.get(index);
  }

  /** A value as a register of this kind of code has it. */
  long word(long value) {
    return this == I386 ? value & 0xffff_ffffL : value;
  }

  /** The first argument of a system call that a thread is in. */
  long firstArgument(Registers registers) {
    return word(registers.get(argument(0)));
  }

  /**
   * What a seccomp filter is asked about a system call that a thread is about to make with these registers.
   */
  SeccompFilter.Call call(Registers registers) {
    // populate_seccomp_data() in kernel/seccomp.c; the instruction has two bytes in either ABI.
    return new SeccompFilter.Call((int) registers.rax(), auditArchitecture,
        registers.rip() + systemCall.length,
        arguments.stream().mapToLong(register -> word(registers.get(register))).toArray());
  }

  /** What a system call returned: −4095 to −1 is a negated errno. */
  long result(Registers registers) {
    long value = registers.rax();
    if (this == X86_64) {
      return value;
    }
    return (int) value >= -4095 && (int) value < 0 ? (int) value : value & 0xffff_ffffL;
  }

  /** Number of mmap(2), of which i386 has one with the offset in pages. */
  int mmap() {
    return mmap;
  }

  int munmap() {
    return munmap;
  }

  int prctl() {
    return prctl;
  }

  /** Number of clone(2), whose first argument are the flags. */
  int cloneNumber() {
    return cloneNumber;
  }

  int vforkNumber() {
    return vforkNumber;
  }

  /** Number of restart_syscall(2). */
  int restart() {
    return restart;
  }

  /**
   * The first address that a process cannot map ({@code TASK_SIZE}, in 64-bit processes with four-level page
   * tables).
   */
  long addressLimit() {
    return addressLimit;
  }
}

package io.xolotl.ptrace;

/** Numbers of ptrace(2), from linux/ptrace.h and asm/ptrace-abi.h (x86-64). */
final class Ptrace {

  static final int PEEKTEXT = 1;
  static final int CONT = 7;
  static final int SINGLESTEP = 9;
  static final int GETREGS = 12;
  static final int SETREGS = 13;
  static final int POKEUSR = 6;
  static final int DETACH = 17;
  static final int GETEVENTMSG = 0x4201;
  static final int GETSIGINFO = 0x4202;
  static final int SETSIGINFO = 0x4203;
  static final int GETREGSET = 0x4204;
  static final int SETREGSET = 0x4205;
  static final int SEIZE = 0x4206;
  static final int INTERRUPT = 0x4207;
  static final int LISTEN = 0x4208;
  static final int PEEKSIGINFO = 0x4209;
  static final int GETSIGMASK = 0x420a;
  static final int SETSIGMASK = 0x420b;
  static final int SECCOMP_GET_FILTER = 0x420c;
  static final int GET_RSEQ_CONFIGURATION = 0x420f;
  static final int SET_SYSCALL_USER_DISPATCH_CONFIG = 0x4210;
  static final int GET_SYSCALL_USER_DISPATCH_CONFIG = 0x4211;

  static final int O_TRACEFORK = 1 << 1;
  static final int O_TRACEVFORK = 1 << 2;
  static final int O_TRACECLONE = 1 << 3;
  static final int O_TRACEEXEC = 1 << 4;

  static final int EVENT_FORK = 1;
  static final int EVENT_VFORK = 2;
  static final int EVENT_CLONE = 3;
  static final int EVENT_EXEC = 4;
  static final int EVENT_EXIT = 6;
  static final int EVENT_STOP = 128;

  static final int NT_PRSTATUS = 1;
  static final int NT_X86_XSTATE = 0x202;

  private Ptrace() {}

  static String name(int request) {
    return switch (request) {
      case PEEKTEXT -> "PTRACE_PEEKTEXT";
      case CONT -> "PTRACE_CONT";
      case SINGLESTEP -> "PTRACE_SINGLESTEP";
      case GETREGS -> "PTRACE_GETREGS";
      case SETREGS -> "PTRACE_SETREGS";
      case POKEUSR -> "PTRACE_POKEUSR";
      case DETACH -> "PTRACE_DETACH";
      case GETEVENTMSG -> "PTRACE_GETEVENTMSG";
      case GETSIGINFO -> "PTRACE_GETSIGINFO";
      case SETSIGINFO -> "PTRACE_SETSIGINFO";
      case GETREGSET -> "PTRACE_GETREGSET";
      case SETREGSET -> "PTRACE_SETREGSET";
      case SEIZE -> "PTRACE_SEIZE";
      case INTERRUPT -> "PTRACE_INTERRUPT";
      case LISTEN -> "PTRACE_LISTEN";
      case PEEKSIGINFO -> "PTRACE_PEEKSIGINFO";
      case GETSIGMASK -> "PTRACE_GETSIGMASK";
      case SETSIGMASK -> "PTRACE_SETSIGMASK";
      case SECCOMP_GET_FILTER -> "PTRACE_SECCOMP_GET_FILTER";
      case SET_SYSCALL_USER_DISPATCH_CONFIG -> "PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG";
      case GET_RSEQ_CONFIGURATION -> "PTRACE_GET_RSEQ_CONFIGURATION";
      default -> "ptrace request 0x" + Integer.toHexString(request);
    };
  }
}

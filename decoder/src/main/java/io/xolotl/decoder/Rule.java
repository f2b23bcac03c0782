package io.xolotl.decoder;

import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/**
 * What a mnemonic says about relocation. Operands, prefixes and encoding have their say in
 * {@link Classifier}.
 *
 * <p>The mnemonics are those of Zydis. Some are of extensions that the tables do not have yet; that does no
 * harm.
 */
sealed interface Rule {

  /** Those that need no parameter. */
  enum Simple implements Rule {
    /** Copied, or relocated if its operand is relative. */
    COPY, NOP, PAUSE, JUMP, CALL, RETURN, PUSH, POP, PUSH_FLAGS, POP_FLAGS, LOAD_ADDRESS, MOVE, SYSCALL,
    INTERRUPT
  }

  /** {@code jcc}. */
  record JumpIf(ConditionCode condition) implements Rule {}

  /** {@code loop} and its kin. */
  record LoopIf(LoopKind kind) implements Rule {}

  /** Refused whatever its operands are. */
  record Never(Refusal reason) implements Rule {}

  /** The rules of all mnemonics that are not simply copied. */
  final class Table {

    private static final Map<String, Rule> RULES = new HashMap<>();

    static {
      all(Simple.PAUSE, "pause");
      all(Simple.NOP, "nop", "endbr32", "endbr64", "prefetch", "prefetchw", "prefetchwt1",
          "prefetchnta",
          "prefetcht0", "prefetcht1", "prefetcht2", "prefetchit0", "prefetchit1");
      all(Simple.JUMP, "jmp");
      all(Simple.CALL, "call");
      all(Simple.RETURN, "ret");
      all(Simple.PUSH, "push");
      all(Simple.POP, "pop");
      all(Simple.PUSH_FLAGS, "pushf", "pushfd", "pushfq");
      all(Simple.POP_FLAGS, "popf", "popfd", "popfq");
      all(Simple.LOAD_ADDRESS, "lea");
      all(Simple.MOVE, "mov");
      all(Simple.SYSCALL, "syscall");
      all(Simple.INTERRUPT, "int");
      for (ConditionCode condition : ConditionCode.ALL) {
        all(new JumpIf(condition), "j" + condition.name().toLowerCase(Locale.ROOT));
      }
      all(new LoopIf(LoopKind.LOOP), "loop");
      all(new LoopIf(LoopKind.LOOPE), "loope");
      all(new LoopIf(LoopKind.LOOPNE), "loopne");
      all(new LoopIf(LoopKind.JRCXZ), "jcxz", "jecxz", "jrcxz");

      never(Refusal.BREAKPOINT_EXISTS, "int3");
      never(Refusal.SOFTWARE_INTERRUPT, "int1", "into");
      never(Refusal.FAR_BRANCH, "iret", "iretd", "iretq", "sysret", "sysexit", "uiret", "rsm", "eretu",
          "erets");
      never(Refusal.SYSENTER, "sysenter");
      never(Refusal.INTERRUPT_SHADOW, "lss");
      never(Refusal.IO, "in", "insb", "insw", "insd", "out", "outsb", "outsw", "outsd");
      never(Refusal.TRANSACTION, "xbegin", "xend", "xabort");
      never(Refusal.ENCLAVE, "encls", "enclu", "enclv", "getsec");
      never(Refusal.VIRTUALIZATION, "vmcall", "vmmcall", "vmgexit", "vmfunc", "vmlaunch", "vmresume",
          "vmread",
          "vmwrite", "vmptrld", "vmptrst", "vmclear", "vmxon", "vmxoff", "vmrun", "vmload", "vmsave",
          "invept",
          "invvpid", "invlpga", "clgi", "stgi", "skinit", "seamcall", "seamops", "seamret", "tdcall");
      never(Refusal.SHADOW_STACK, "incsspd", "incsspq", "saveprevssp", "rstorssp", "wrssd", "wrssq", "wrussd",
          "wrussq", "setssbsy", "clrssbsy");
      // Zydis' own attribute misses some of these: those that depend on IOPL or on a bit of cr4.
      never(Refusal.PRIVILEGED, "cli", "sti", "clac", "stac", "hlt", "clts", "invd", "wbinvd", "wbnoinvd",
          "invlpg",
          "invlpgb", "invpcid", "tlbsync", "lgdt", "lidt", "lldt", "ltr", "lmsw", "sgdt", "sidt", "sldt",
          "smsw", "str",
          "rdmsr", "wrmsr", "rdmsrlist", "wrmsrlist", "wrmsrns", "rdpmc", "swapgs", "lkgs", "monitor",
          "mwait",
          "xsetbv", "xsaves", "xsaves64", "xrstors", "xrstors64", "hreset", "pconfig", "pbndkb", "loadiwkey",
          "enqcmds",
          "psmash", "pvalidate", "rmpadjust", "rmpupdate", "rmpquery", "rmpread");
      // These exist on Knights Corner only, whatever their encoding.
      never(Refusal.MVEX, "jkzd", "jknzd");
    }

    private Table() {}

    /** All names that the rules know. */
    static Set<String> mnemonics() {
      return RULES.keySet();
    }

    private static void all(Rule rule, String... mnemonics) {
      List.of(mnemonics).forEach(mnemonic -> RULES.put(mnemonic, rule));
    }

    private static void never(Refusal reason, String... mnemonics) {
      all(new Never(reason), mnemonics);
    }
  }

  static Rule of(String mnemonic) {
    return Table.RULES.getOrDefault(mnemonic, Simple.COPY);
  }
}

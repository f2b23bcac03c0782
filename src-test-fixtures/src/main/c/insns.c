/* insns TIMES [KIND...]: executes every kind of instruction that matters to a probe.
 *
 *   -> go                              (as often as wanted)
 *   <- KIND RESULT                     hex, for each kind, or
 *   <- KIND skipped                    the CPU does not have it, or
 *   <- KIND RESULT BAD, expected HEX, damage HEX
 *   <- ok | BAD
 *
 * Each function of insns.S, or only those named, is called TIMES times. The instruction of a
 * kind is at the label site_KIND; site_mid is inside the one of site_mid_instruction. */
#define _GNU_SOURCE
#include "fixture.h"

#include <cpuid.h>
#include <signal.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

typedef unsigned long insn_function(void);

struct insn {
    const char *name;
    insn_function *function;
    unsigned long expected;
    unsigned long feature;
};

extern const struct insn insn_table[], insn_table_end[];
unsigned long insn_call(insn_function *function, unsigned long *damage);

extern volatile unsigned long fault_site, fault_address, fault_resume, fault_seen, insn_pid;
extern char fault_page[4096];

static void on_fault(int signal, siginfo_t *info, void *context)
{
    greg_t *rip = &((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
    fault_seen = (unsigned long)signal << 24 | (unsigned long)(info->si_code & 0xff) << 16
        | (unsigned long)(*rip == (greg_t)fault_site) << 8
        | (unsigned long)((unsigned long)info->si_addr == fault_address);
    if (fault_resume == fault_site && signal == SIGSEGV) {
        mprotect(fault_page, sizeof fault_page, PROT_READ);
    }
    *rip = (greg_t)fault_resume;
}

static bool has(unsigned long feature)
{
    unsigned eax, ebx, ecx, edx;
    __builtin_cpu_init();
    switch (feature) {
    case 0:
        return true;
    case 1:
        return __builtin_cpu_supports("avx");
    case 2:
        return __builtin_cpu_supports("fma");
    case 3:
        return __builtin_cpu_supports("avx512vl");
    case 4:
        return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && ecx & bit_OSXSAVE;
    case 5:
        return getauxval(AT_HWCAP2) & 2;
    case 6:
        return __get_cpuid(0x80000001, &eax, &ebx, &ecx, &edx) && edx & 1 << 27;
    default:
        return false;
    }
}

static bool wanted(int argc, char **argv, const char *name)
{
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], name) == 0) {
            return true;
        }
    }
    return argc <= 2;
}

static bool run(const struct insn *insn, unsigned long times)
{
    if (!has(insn->feature)) {
        say("%s skipped", insn->name);
        return true;
    }
    unsigned long result = insn->expected, damage = 0;
    for (unsigned long i = 0; i < times && result == insn->expected && damage == 0; i++) {
        mprotect(fault_page, sizeof fault_page, PROT_NONE);
        result = insn_call(insn->function, &damage);
    }
    if (result != insn->expected || damage != 0) {
        say("%s %lx BAD, expected %lx, damage %lx", insn->name, result, insn->expected, damage);
        return false;
    }
    say("%s %lx", insn->name, result);
    return true;
}

int main(int argc, char **argv)
{
    unsigned long times = number_argument(argc, argv, 1, 1);
    /* push_fault faults with a stack pointer into memory that no handler can use. */
    static char stack[64 * 1024];
    sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, NULL);
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    const int signals[] = {SIGILL, SIGFPE, SIGSEGV, SIGTRAP};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        sigaction(signals[i], &action, NULL);
    }
    insn_pid = (unsigned long)getpid();
    say_ready();
    for (;;) {
        await_command("go");
        bool ok = true;
        for (const struct insn *insn = insn_table; insn < insn_table_end; insn++) {
            if (wanted(argc, argv, insn->name)) {
                ok &= run(insn, times);
            }
        }
        say_verdict(ok);
    }
}

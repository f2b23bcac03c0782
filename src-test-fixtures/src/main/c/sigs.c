/* sigs ROUNDS: a program that lives on signals.
 *
 *   -> go             (as often as wanted)
 *   <- NAME COUNT     for each section, in a fixed order
 *   <- ok | BAD
 *
 * In each of ROUNDS rounds: a SIGSEGV handler that repairs the page and returns; one that leaves by siglongjmp, from
 * SIGSEGV, SIGFPE and SIGILL; a handler on an alternative stack; handlers that nest (SA_NODEFER); breakpoints of its own
 * with a SIGTRAP handler, a SIGTRAP that is sent, and its own trap flag; children whose ends a SIGCHLD handler collects;
 * all signals blocked meanwhile. The functions whose names begin with hot_ are the loops and the handlers. */
#define _GNU_SOURCE
#include "fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define HOT __attribute__((noinline))

static volatile unsigned long errors, repaired, left, on_stack, nested, traps, sent_traps, steps, reaped;

static void *page;
static sigjmp_buf back;
static stack_t alternative;

static void expect(bool condition)
{
    if (!condition) {
        errors++;
    }
}

static void handle(int signal, void (*handler)(int, siginfo_t *, void *), int flags)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};
    sigemptyset(&action.sa_mask);
    if (sigaction(signal, &action, NULL) < 0) {
        die("sigaction");
    }
}

static unsigned long rip(void *context)
{
    return (unsigned long)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
}

/* ---- SIGSEGV, repaired */

extern char faulting_load[];

HOT static void hot_repair(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    expect(info->si_addr == page && rip(context) == (unsigned long)faulting_load);
    mprotect(page, 4096, PROT_READ | PROT_WRITE);
    *(unsigned long *)page = ++repaired;
}

HOT static unsigned long hot_load(unsigned long *from)
{
    unsigned long value;
    __asm__ volatile(".globl faulting_load\nfaulting_load: mov (%1), %0" : "=r"(value) : "r"(from) : "memory");
    return value;
}

static void repair(void)
{
    handle(SIGSEGV, hot_repair, 0);
    mprotect(page, 4096, PROT_NONE);
    unsigned long before = repaired;
    expect(hot_load(page) == before + 1);
}

/* ---- siglongjmp out of handlers */

extern char faulting_div[], faulting_ud2[];

HOT static void hot_leave(int signal, siginfo_t *info, void *context)
{
    char *at = signal == SIGSEGV ? faulting_load : signal == SIGFPE ? faulting_div : faulting_ud2;
    expect(rip(context) == (unsigned long)at);
    expect(info->si_addr == (signal == SIGSEGV ? page : at));
    left++;
    siglongjmp(back, signal);
}

HOT static void hot_divide(int by)
{
    __asm__ volatile("xor %%edx, %%edx\n\tmov $7, %%eax\n.globl faulting_div\nfaulting_div: divl %0"
                     : : "r"(by) : "eax", "edx");
}

HOT static void hot_undefined(void)
{
    __asm__ volatile(".globl faulting_ud2\nfaulting_ud2: ud2");
}

static void leave(void)
{
    handle(SIGSEGV, hot_leave, 0);
    handle(SIGFPE, hot_leave, 0);
    handle(SIGILL, hot_leave, 0);
    mprotect(page, 4096, PROT_NONE);
    switch (sigsetjmp(back, 1)) {
    case 0:
        hot_load(page);
        break;
    case SIGSEGV:
        hot_divide(0);
        break;
    case SIGFPE:
        hot_undefined();
        break;
    case SIGILL:
        return;
    }
    expect(false);
}

/* ---- an alternative stack */

HOT static void hot_on_stack(int signal, siginfo_t *info, void *context)
{
    char local;
    (void)signal;
    (void)info;
    (void)context;
    expect(&local >= (char *)alternative.ss_sp && &local < (char *)alternative.ss_sp + alternative.ss_size);
    expect(work(on_stack) == expected_work(on_stack));
    on_stack++;
}

/* ---- nesting */

HOT static void hot_nest(int signal, siginfo_t *info, void *context)
{
    (void)context;
    nested++;
    if (info->si_value.sival_int > 0) {
        sigqueue(getpid(), signal, (union sigval){.sival_int = info->si_value.sival_int - 1});
    }
}

/* ---- its own traps */

extern char behind_own_trap[];

HOT static void hot_trap(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    if (info->si_code == SI_KERNEL) {
        expect(rip(context) == (unsigned long)behind_own_trap);
        traps++;
    } else if (info->si_code == TRAP_TRACE) {
        steps++;
        ((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] &= ~0x100L;
    } else {
        expect(info->si_pid == getpid());
        sent_traps++;
    }
}

HOT static unsigned long hot_traps(unsigned long n)
{
    unsigned long sum = 0;
    for (unsigned long i = 0; i < n; i++) {
        __asm__ volatile("int3\n.globl behind_own_trap\nbehind_own_trap:");
        sum += work(i);
    }
    return sum;
}

/* The trap comes behind the instruction that follows popf. */
HOT static void hot_step(void)
{
    __asm__ volatile("sub $128, %%rsp\n\tpushfq\n\torl $0x100, (%%rsp)\n\tpopfq\n\tnop\n\tnop\n\tadd $128, %%rsp"
                     : : : "memory", "cc");
}

/* ---- children */

HOT static void hot_reap(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)info;
    (void)context;
    int saved = errno, status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        expect(WIFEXITED(status) && WEXITSTATUS(status) == 7);
        reaped++;
    }
    errno = saved;
}

static void children(void)
{
    unsigned long before = reaped;
    sigset_t chld, old;
    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    sigprocmask(SIG_BLOCK, &chld, &old);
    pid_t pid = fork();
    if (pid < 0) {
        die("fork");
    }
    if (pid == 0) {
        _exit(work(1) == expected_work(1) ? 7 : 1);
    }
    while (reaped == before) {
        sigsuspend(&old);
    }
    sigprocmask(SIG_SETMASK, &old, NULL);
}

/* ---- everything blocked */

static void blocked(void)
{
    sigset_t all, old, now;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &old);
    raise(SIGUSR1);
    unsigned long before = on_stack;
    expect(work(3) == expected_work(3));
    expect(on_stack == before);
    sigprocmask(SIG_SETMASK, &old, &now);
    expect(sigismember(&now, SIGTRAP) == 1 && sigismember(&now, SIGUSR1) == 1);
    expect(on_stack == before + 1);
    struct sigaction action;
    sigaction(SIGTRAP, NULL, &action);
    expect(action.sa_sigaction == hot_trap);
}

static void round_of_all(unsigned long i)
{
    repair();
    leave();
    raise(SIGUSR1);
    expect(on_stack % 2 == 1);
    unsigned long before = nested;
    sigqueue(getpid(), SIGUSR2, (union sigval){.sival_int = 4});
    expect(nested == before + 5);
    expect(hot_traps(3) == expected_work(0) + expected_work(1) + expected_work(2));
    raise(SIGTRAP);
    hot_step();
    if (i % 4 == 0) {
        children();
    }
    blocked();
}

int main(int argc, char **argv)
{
    unsigned long rounds = number_argument(argc, argv, 1, 20);
    page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    alternative = (stack_t){.ss_sp = malloc(65536), .ss_size = 65536};
    if (page == MAP_FAILED || !alternative.ss_sp || sigaltstack(&alternative, NULL) < 0) {
        die("memory");
    }
    handle(SIGUSR1, hot_on_stack, SA_ONSTACK);
    handle(SIGUSR2, hot_nest, SA_NODEFER);
    handle(SIGTRAP, hot_trap, 0);
    handle(SIGCHLD, hot_reap, SA_RESTART);
    say_ready();
    for (;;) {
        await_command("go");
        errors = repaired = left = on_stack = nested = traps = sent_traps = steps = reaped = 0;
        for (unsigned long i = 0; i < rounds; i++) {
            round_of_all(i);
        }
        say("repaired %lu", repaired);
        say("left %lu", left);
        say("on-stack %lu", on_stack);
        say("nested %lu", nested);
        say("traps %lu", traps);
        say("sent-traps %lu", sent_traps);
        say("steps %lu", steps);
        say("reaped %lu", reaped);
        say("errors %lu", errors);
        say_verdict(errors == 0);
    }
}

/* trapper N: traps of its own, and an alternate stack for everything.
 *
 *   -> go             (as often as wanted)
 *   <- traps N        how many of its own int3 its handler has seen
 *   <- handled N      handlers that ran on the alternate stack
 *   <- ok | BAD       whether all did, and every call of work() returned what it should
 *
 * Each of N rounds executes an int3, whose handler counts it, and sends itself a signal, whose handler calls work() on the
 * alternate stack. It never blocks SIGTRAP while it calls work(). */
#define _GNU_SOURCE
#include "fixture.h"

#include <signal.h>
#include <stdlib.h>

static volatile unsigned long traps, handled, errors;
static stack_t alternative;

static void check(bool condition)
{
    if (!condition) {
        errors++;
    }
}

static bool is_on_alternative(void)
{
    char here;
    char *low = alternative.ss_sp;
    return &here >= low && &here < low + alternative.ss_size;
}

static void own_trap(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)context;
    traps++;
    check(info->si_code == SI_KERNEL && is_on_alternative());
}

static void on_stack(int signal)
{
    (void)signal;
    handled++;
    check(is_on_alternative() && work(handled) == expected_work(handled));
}

static void handle(int signal, struct sigaction action)
{
    action.sa_flags |= SA_ONSTACK;
    if (sigaction(signal, &action, NULL) < 0) {
        die("sigaction");
    }
}

int main(int argc, char **argv)
{
    unsigned long rounds = number_argument(argc, argv, 1, 100);
    alternative = (stack_t){.ss_sp = malloc(65536), .ss_size = 65536};
    if (!alternative.ss_sp || sigaltstack(&alternative, NULL) < 0) {
        die("sigaltstack");
    }
    handle(SIGTRAP, (struct sigaction){.sa_sigaction = own_trap, .sa_flags = SA_SIGINFO});
    handle(SIGUSR1, (struct sigaction){.sa_handler = on_stack});
    say_ready();
    for (;;) {
        await_command("go");
        traps = handled = errors = 0;
        for (unsigned long i = 0; i < rounds; i++) {
            __asm__ volatile("int3");
            check(traps == i + 1);
            raise(SIGUSR1);
            check(handled == i + 1);
            check(work(i) == expected_work(i));
        }
        say("traps %lu", traps);
        say("handled %lu", handled);
        say_verdict(errors == 0);
    }
}

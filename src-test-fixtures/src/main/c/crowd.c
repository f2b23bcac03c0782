/* crowd N_THREADS own|shared: up to 64 threads that call functions without end, each one of its own, or all the same.
 *
 *   -> go             the threads begin
 *   -> count
 *   <- count N        number of calls so far, in all threads
 *   -> stop           the threads pause
 *   <- calls N        number of calls since the program began, in all threads
 *   <- ok | BAD       whether every call returned what it should
 *
 * Thread N calls the function whose first instruction has the label site_N of crowd.S, or all call that of site_0. */
#include "fixture.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_THREADS = 64 };

extern unsigned long (*const own_functions[MOST_THREADS])(unsigned long);

/* A cache line each. Written by one thread alone. */
static struct counter {
    _Alignas(64) atomic_ulong calls;
    atomic_bool wrong;
} counters[MOST_THREADS];
static unsigned n_threads;
static bool shared;

static void call(unsigned thread)
{
    unsigned long (*function)(unsigned long) = own_functions[shared ? 0 : thread];
    unsigned long x = atomic_load(&counters[thread].calls);
    while (!team_stopping()) {
        if (function(x) != x + 1) {
            atomic_store(&counters[thread].wrong, true);
        }
        atomic_store_explicit(&counters[thread].calls, ++x, memory_order_relaxed);
    }
}

static unsigned long calls(void)
{
    unsigned long sum = 0;
    for (unsigned t = 0; t < n_threads; t++) {
        sum += atomic_load(&counters[t].calls);
    }
    return sum;
}

int main(int argc, char **argv)
{
    n_threads = (unsigned)number_argument(argc, argv, 1, 1);
    if (n_threads > MOST_THREADS) {
        n_threads = MOST_THREADS;
    }
    shared = argc > 2 && strcmp(argv[2], "shared") == 0;
    team_create(n_threads, call);
    say_ready();
    for (;;) {
        team_round_until_stop(calls);
        say("calls %lu", calls());
        bool ok = true;
        for (unsigned t = 0; t < n_threads; t++) {
            ok &= !atomic_load(&counters[t].wrong);
        }
        say_verdict(ok);
    }
}

/* forever N_THREADS: N_THREADS threads call work() without end.
 *
 *   -> go             the threads begin
 *   -> count
 *   <- count N        number of calls so far, in all threads
 *   -> stop           the threads pause
 *   <- calls N        number of calls since the program began, in all threads
 *   <- ok | BAD       whether every call returned what it should
 *
 * "go" may be sent again after "stop". Others have the CPU first: a JVM that is started meanwhile would need many times as long. */
#include "fixture.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

/* A cache line each: the threads would otherwise slow one another down. Written by one thread
 * alone, so a load and a store make an increment. */
static struct counter {
    _Alignas(64) atomic_ulong calls;
    atomic_ulong errors;
} *counters;
static unsigned n_threads;

static void increment(atomic_ulong *counter)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1, memory_order_relaxed);
}

static void call_work(unsigned thread)
{
    unsigned long x = (unsigned long)thread << 32;
    while (!team_stopping()) {
        if (work(x) != expected_work(x)) {
            increment(&counters[thread].errors);
        }
        increment(&counters[thread].calls);
        x++;
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
    nice(10);
    n_threads = (unsigned)number_argument(argc, argv, 1, 1);
    counters = aligned_alloc(64, n_threads * sizeof *counters);
    for (unsigned t = 0; t < n_threads; t++) {
        counters[t] = (struct counter){0};
    }
    team_create(n_threads, call_work);
    say_ready();
    for (;;) {
        team_round_until_stop(calls);
        say("calls %lu", calls());
        bool ok = true;
        for (unsigned t = 0; t < n_threads; t++) {
            ok &= atomic_load(&counters[t].errors) == 0;
        }
        say_verdict(ok);
    }
}

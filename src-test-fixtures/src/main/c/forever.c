/* forever N_THREADS: N_THREADS threads call work() without end.
 *
 *   -> go             the threads begin
 *   -> count
 *   <- count N        number of calls since "go", in all threads, so far
 *   -> stop           the threads pause
 *   <- calls N        number of calls since "go", in all threads
 *   <- ok | BAD       whether every call returned what it should
 *
 * "go" may be sent again after "stop". */
#include "fixture.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* A cache line each: the threads would otherwise measure one another. */
static struct counter {
    _Alignas(64) atomic_ulong calls;
    atomic_ulong errors;
} *counters;
static atomic_bool stopped;

static void call_work(unsigned thread)
{
    struct counter *counter = &counters[thread];
    unsigned long x = (unsigned long)thread << 32;
    while (!atomic_load_explicit(&stopped, memory_order_relaxed)) {
        if (work(x) != expected_work(x)) {
            atomic_fetch_add(&counter->errors, 1);
        }
        x++;
        /* Written by this thread alone. */
        atomic_store_explicit(&counter->calls, atomic_load_explicit(&counter->calls, memory_order_relaxed) + 1,
                              memory_order_relaxed);
    }
}

static unsigned long sum(unsigned n_threads)
{
    unsigned long sum = 0;
    for (unsigned t = 0; t < n_threads; t++) {
        sum += atomic_load(&counters[t].calls);
    }
    return sum;
}

int main(int argc, char **argv)
{
    unsigned n_threads = (unsigned)number_argument(argc, argv, 1, 1);
    counters = aligned_alloc(64, n_threads * sizeof *counters);
    team_create(n_threads, call_work);
    say_ready();
    for (;;) {
        await_command("go");
        memset(counters, 0, n_threads * sizeof *counters);
        atomic_store(&stopped, false);
        team_begin_round();
        for (bool running = true; running;) {
            const char *command = next_command();
            if (!command) {
                exit(0);
            }
            if (strcmp(command, "count") == 0) {
                say("count %lu", sum(n_threads));
            }
            running = strcmp(command, "stop") != 0;
        }
        atomic_store(&stopped, true);
        team_end_round();
        say("calls %lu", sum(n_threads));
        unsigned long errors = 0;
        for (unsigned t = 0; t < n_threads; t++) {
            errors += atomic_load(&counters[t].errors);
        }
        say_verdict(errors == 0);
    }
}

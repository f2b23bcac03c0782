/* calls N_THREADS N_CALLS: each of N_THREADS threads calls work() N_CALLS times.
 *
 *   -> go             (as often as wanted)
 *   <- checksum HEX   sum of all results, modulo 2^64
 *   <- calls N        number of calls, N_THREADS * N_CALLS
 *   <- ok | BAD       whether the checksum is the one that C computes
 *
 * The threads exist, besides the main thread, when the program says that it is ready. The
 * same source is built as a position independent (calls), a position dependent (nopie) and a
 * statically linked (static) program. */
#include "fixture.h"

#include <stdlib.h>

static unsigned long n_calls;
static unsigned long *sums;

static unsigned long argument(unsigned thread, unsigned long call)
{
    return (unsigned long)thread << 32 | call;
}

static void call_work(unsigned thread)
{
    unsigned long sum = 0;
    for (unsigned long i = 0; i < n_calls; i++) {
        sum += work(argument(thread, i));
    }
    sums[thread] = sum;
}

int main(int argc, char **argv)
{
    unsigned n_threads = (unsigned)number_argument(argc, argv, 1, 1);
    n_calls = number_argument(argc, argv, 2, 1);
    sums = calloc(n_threads, sizeof *sums);
    team_create(n_threads, call_work);

    unsigned long expected = 0;
    for (unsigned t = 0; t < n_threads; t++) {
        for (unsigned long i = 0; i < n_calls; i++) {
            expected += expected_work(argument(t, i));
        }
    }
    say_ready();
    for (;;) {
        await_command("go");
        team_begin_round();
        team_end_round();
        unsigned long sum = 0;
        for (unsigned t = 0; t < n_threads; t++) {
            sum += sums[t];
        }
        say("checksum %lx", sum);
        say("calls %lu", n_threads * n_calls);
        say_verdict(sum == expected);
    }
}

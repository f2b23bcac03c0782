/* threads N: N threads, 1000 for instance, of which each calls work() once a round.
 *
 *   -> round          (as often as wanted)
 *   <- done SUM       hex, sum of the results of this round, one from each thread
 *   <- ok | BAD       whether no result was wrong or missing
 *
 * The threads exist, besides the main thread, when the program says that it is ready. */
#include "fixture.h"

#include <stdlib.h>

static unsigned long round_number;
static unsigned long *results;

static unsigned long argument(unsigned thread)
{
    return round_number << 32 | thread;
}

static void call_work(unsigned thread)
{
    results[thread] = work(argument(thread));
}

int main(int argc, char **argv)
{
    unsigned n_threads = (unsigned)number_argument(argc, argv, 1, 1);
    results = calloc(n_threads, sizeof *results);
    team_create(n_threads, call_work);
    say_ready();
    for (;;) {
        await_command("round");
        round_number++;
        team_begin_round();
        team_end_round();
        unsigned long sum = 0, expected = 0;
        for (unsigned t = 0; t < n_threads; t++) {
            sum += results[t];
            expected += expected_work(argument(t));
        }
        say("done %lx", sum);
        say_verdict(sum == expected);
    }
}

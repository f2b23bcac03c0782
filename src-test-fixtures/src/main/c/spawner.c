/* spawner N: N threads create one short-lived thread after the other. Each of those runs
 * work_thread(), whose first instruction has the label thread_entry, and so calls work().
 *
 *   -> go             the threads begin to create
 *   -> count
 *   <- count N        number of threads created, and joined, so far
 *   -> stop           they pause
 *   <- created N      number of threads created, and joined, since the program began
 *   <- ok | BAD       whether each of them returned what it should
 *
 * "go" may be sent again after "stop". */
#include "fixture.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

static atomic_ulong created, errors;

static void create_threads(unsigned creator)
{
    pthread_attr_t small_stack;
    pthread_attr_init(&small_stack);
    pthread_attr_setstacksize(&small_stack, 64 * 1024);
    unsigned long x = (unsigned long)creator << 32;
    while (!team_stopping()) {
        pthread_t thread;
        void *result;
        errno = pthread_create(&thread, &small_stack, work_thread, (void *)x);
        if (errno) {
            die("pthread_create");
        }
        pthread_join(thread, &result);
        if ((unsigned long)result != expected_work(x)) {
            atomic_fetch_add(&errors, 1);
        }
        atomic_fetch_add(&created, 1);
        x++;
    }
}

static unsigned long count(void)
{
    return atomic_load(&created);
}

int main(int argc, char **argv)
{
    team_create((unsigned)number_argument(argc, argv, 1, 1), create_threads);
    say_ready();
    for (;;) {
        team_round_until_stop(count);
        say("created %lu", count());
        say_verdict(atomic_load(&errors) == 0);
    }
}

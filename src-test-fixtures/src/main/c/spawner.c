/* spawner N: N threads create one short-lived thread after the other. Each of those runs
 * work_thread(), whose first instruction has the label thread_entry, and so calls work().
 *
 *   -> go             the threads begin to create
 *   -> count
 *   <- count N        number of threads created, and joined, since "go", so far
 *   -> stop           they pause
 *   <- created N      number of threads created, and joined, since "go"
 *   <- ok | BAD       whether each of them returned what it should
 *
 * "go" may be sent again after "stop". */
#include "fixture.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static atomic_ulong created, errors;
static atomic_bool stopped;

static void create_threads(unsigned creator)
{
    pthread_attr_t small_stack;
    pthread_attr_init(&small_stack);
    pthread_attr_setstacksize(&small_stack, 64 * 1024);
    unsigned long x = (unsigned long)creator << 32;
    while (!atomic_load(&stopped)) {
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

int main(int argc, char **argv)
{
    team_create((unsigned)number_argument(argc, argv, 1, 1), create_threads);
    say_ready();
    for (;;) {
        await_command("go");
        atomic_store(&created, 0);
        atomic_store(&errors, 0);
        atomic_store(&stopped, false);
        team_begin_round();
        for (bool running = true; running;) {
            const char *command = next_command();
            if (!command) {
                exit(0);
            }
            if (strcmp(command, "count") == 0) {
                say("count %lu", atomic_load(&created));
            }
            running = strcmp(command, "stop") != 0;
        }
        atomic_store(&stopped, true);
        team_end_round();
        say("created %lu", atomic_load(&created));
        say_verdict(atomic_load(&errors) == 0);
    }
}

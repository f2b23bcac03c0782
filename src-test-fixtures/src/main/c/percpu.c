/* percpu N_THREADS file|stack: threads that increment counters, one a CPU, by restartable sequences without end. The
 * record of the section is in the file, or on each thread's stack, where nothing but the thread's area tells of it.
 *
 *   <- area yes | no  whether the C library has registered areas for restartable sequences; without, nothing follows
 *   -> go             the threads begin
 *   -> count
 *   <- count N        number of increments so far, as the threads know it
 *   -> stop           the threads pause
 *   <- calls N        number of increments since the program began, as the threads know it
 *   <- ok | BAD       whether the counters say the same */
#include "fixture.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <linux/rseq.h>

/* Of glibc since 2.35. */
extern const ptrdiff_t __rseq_offset __attribute__((weak));
extern const unsigned int __rseq_size __attribute__((weak));

enum { MOST_THREADS = 64, MOST_CPUS = 4096 };

struct counter {
    _Alignas(128) unsigned long value;
};

int percpu_increment(struct rseq *area, struct counter *counters);
int percpu_increment_by(struct rseq *area, struct counter *counters, struct rseq_cs *record);
extern char made_start[], made_end[], made_abort[];

static struct counter counters[MOST_CPUS];
/* Written by one thread alone. */
static struct {
    _Alignas(64) atomic_ulong increments;
} own[MOST_THREADS];
static unsigned n_threads;
static bool on_stack;

static void increment(unsigned thread)
{
    struct rseq *area = (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
    struct rseq_cs record = { .start_ip = (uintptr_t)made_start,
                              .post_commit_offset = (uintptr_t)made_end - (uintptr_t)made_start,
                              .abort_ip = (uintptr_t)made_abort };
    while (!team_stopping()) {
        int aborted = on_stack ? percpu_increment_by(area, counters, &record) : percpu_increment(area, counters);
        if (!aborted) {
            atomic_fetch_add_explicit(&own[thread].increments, 1, memory_order_relaxed);
        }
    }
    /* The record is gone when this returns. */
    ((volatile struct rseq *)area)->rseq_cs = 0;
}

static unsigned long increments(void)
{
    unsigned long sum = 0;
    for (unsigned t = 0; t < n_threads; t++) {
        sum += atomic_load(&own[t].increments);
    }
    return sum;
}

int main(int argc, char **argv)
{
    n_threads = (unsigned)number_argument(argc, argv, 1, 1);
    if (n_threads > MOST_THREADS) {
        n_threads = MOST_THREADS;
    }
    on_stack = argc > 2 && strcmp(argv[2], "stack") == 0;
    bool there = &__rseq_size && __rseq_size != 0;
    if (there) {
        team_create(n_threads, increment);
    }
    say_ready();
    say("area %s", there ? "yes" : "no");
    if (!there) {
        await_command("exit");
    }
    for (;;) {
        team_round_until_stop(increments);
        unsigned long counted = 0;
        for (unsigned cpu = 0; cpu < MOST_CPUS; cpu++) {
            counted += counters[cpu].value;
        }
        say("calls %lu", increments());
        say_verdict(counted == increments());
    }
}

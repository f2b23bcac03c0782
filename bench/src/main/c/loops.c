/* loops: executes one instruction very often, and says how long that took.
 *
 *   -> kinds
 *   <- kinds NAME...                   the kinds of instructions that this CPU has
 *   -> KIND TIMES                      (as often as wanted)
 *   <- elapsed NANOSECONDS             from before the first execution to behind the last
 *   <- ok | BAD                        whether every execution had its effect
 *
 * The instruction of a kind is at the label site_KIND of loops.S, the one behind it at next_KIND. */
#include "fixture.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

struct loop {
    const char *name;
    unsigned long (*function)(unsigned long times);
    unsigned long needs_avx;
};

extern const struct loop loop_table[], loop_table_end[];

static bool can_run(const struct loop *loop)
{
    return !loop->needs_avx || __builtin_cpu_supports("avx");
}

static unsigned long now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (unsigned long)time.tv_sec * 1000000000 + (unsigned long)time.tv_nsec;
}

static void run(const struct loop *loop, unsigned long times)
{
    unsigned long begin = now();
    unsigned long result = loop->function(times);
    say("elapsed %lu", now() - begin);
    say_verdict(result == times);
}

static void say_kinds(void)
{
    char names[256] = "";
    for (const struct loop *loop = loop_table; loop < loop_table_end; loop++) {
        if (can_run(loop)) {
            strcat(strcat(names, " "), loop->name);
        }
    }
    say("kinds%s", names);
}

static const struct loop *find(const char *name)
{
    for (const struct loop *loop = loop_table; loop < loop_table_end; loop++) {
        if (strcmp(loop->name, name) == 0 && can_run(loop)) {
            return loop;
        }
    }
    return NULL;
}

int main(void)
{
    __builtin_cpu_init();
    say_ready();
    for (const char *command; (command = next_command());) {
        char name[16];
        unsigned long times;
        const struct loop *loop;
        if (strcmp(command, "kinds") == 0) {
            say_kinds();
        } else if (sscanf(command, "%15s %lu", name, &times) == 2 && times > 0 && (loop = find(name))) {
            run(loop, times);
        } else {
            say_verdict(false);
        }
    }
}

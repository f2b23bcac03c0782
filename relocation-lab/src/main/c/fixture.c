#define _GNU_SOURCE
#include "fixture.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern const unsigned long work_table[2];

unsigned long expected_work(unsigned long x)
{
    unsigned long y = work_table[0] + x;
    if (!(x & 1)) {
        y += work_table[1];
    }
    return (y << 7 | y >> 57) ^ x;
}

void say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    flockfile(stdout);
    vprintf(format, arguments);
    putchar('\n');
    fflush(stdout);
    funlockfile(stdout);
    va_end(arguments);
}

void say_ready(void)
{
    /* A program that this one executes goes on reading where this one stops. */
    setvbuf(stdin, NULL, _IONBF, 0);
    say("ready %d", getpid());
}

void say_verdict(bool ok)
{
    say(ok ? "ok" : "BAD");
}

const char *next_command(void)
{
    static char line[256];
    if (!fgets(line, sizeof line, stdin)) {
        return NULL;
    }
    line[strcspn(line, "\n")] = 0;
    return strcmp(line, "exit") == 0 ? NULL : line;
}

void await_command(const char *command)
{
    const char *line;
    do {
        line = next_command();
        if (!line) {
            exit(0);
        }
    } while (strcmp(line, command) != 0);
}

void die(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

unsigned long number_argument(int argc, char **argv, int index, unsigned long otherwise)
{
    if (index >= argc) {
        return otherwise;
    }
    char *end;
    errno = 0;
    unsigned long value = strtoul(argv[index], &end, 0);
    if (errno || *end || end == argv[index]) {
        fprintf(stderr, "not a number: %s\n", argv[index]);
        exit(2);
    }
    return value;
}

static pthread_barrier_t begin, end;
static team_member *member_function;

static void *member_thread(void *index)
{
    for (;;) {
        pthread_barrier_wait(&begin);
        member_function((unsigned)(uintptr_t)index);
        pthread_barrier_wait(&end);
    }
    return NULL;
}

void team_create(unsigned size, team_member *member)
{
    member_function = member;
    pthread_barrier_init(&begin, NULL, size + 1);
    pthread_barrier_init(&end, NULL, size + 1);
    pthread_attr_t small_stack;
    pthread_attr_init(&small_stack);
    pthread_attr_setstacksize(&small_stack, 128 * 1024);
    for (unsigned i = 0; i < size; i++) {
        pthread_t thread;
        errno = pthread_create(&thread, &small_stack, member_thread, (void *)(uintptr_t)i);
        if (errno) {
            die("pthread_create");
        }
    }
}

void team_begin_round(void)
{
    pthread_barrier_wait(&begin);
}

void team_end_round(void)
{
    pthread_barrier_wait(&end);
}

static atomic_bool stopping;

bool team_stopping(void)
{
    return atomic_load_explicit(&stopping, memory_order_relaxed);
}

void team_round_until_stop(unsigned long (*count)(void))
{
    await_command("go");
    atomic_store(&stopping, false);
    team_begin_round();
    for (;;) {
        const char *command = next_command();
        if (!command) {
            exit(0);
        }
        if (strcmp(command, "stop") == 0) {
            break;
        }
        if (strcmp(command, "count") == 0) {
            say("count %lu", count());
        }
    }
    atomic_store(&stopping, true);
    team_end_round();
}

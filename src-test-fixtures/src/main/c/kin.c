/* kin: processes that run in one memory (clone(2) with CLONE_VM), however they are related.
 *
 *   -> make KIND        as often as wanted; KIND is one of
 *                         child            of this process
 *                         sibling          its parent is this process's (CLONE_PARENT)
 *                         orphan           its creator has ended
 *                         chain            a child, and a child of that
 *                         threaded         a child that has two threads
 *                         leaderless       a child whose first thread has ended, and another serves
 *                         vfork            a child that this process's second thread waits for, stuck in vfork
 *                         vfork_sibling    the same with CLONE_PARENT
 *                         untraced         a child that no event tells a tracer of (CLONE_UNTRACED)
 *                         untraced_thread  a thread of this process, likewise
 *                         other_user       a child that has become user 65534, and dumpable again
 *   <- kin PID          the last that was made
 *   -> go N             all of them, and this thread, call tick() N times each
 *   <- ticks TOTAL      so often was tick() called since the start
 *   <- ok | BAD         whether that is right
 *   -> exec | end       all of them execute sleep(1), or end
 *   <- ok               none of them is in this memory any more
 *   -> exec_self        this process executes itself, the others stay
 *   <- ready PID
 *   -> storm KIND       makes one after the other, each calls tick() five times and ends, until
 *   -> stop
 *   <- made N
 *   <- ok | BAD         whether every one of them has come to its end
 *   -> lead             like go, by the kin alone, again and again, while this process may end:
 *   <- leading          ...until "end" */
#define _GNU_SOURCE
#include "fixture.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define STACK 65536
#define MOST 64
#define SHARED (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM)

enum order { CALL, END, EXECUTE, LEAD };

/* The order is read when the turn has changed. */
static atomic_int turn, done;
static volatile enum order order;
static volatile int calls;
static atomic_long ticks;

/* A word each, which the kernel clears when its owner leaves this memory (CLONE_CHILD_CLEARTID), and a stack. */
static atomic_int here[MOST];
static char *stacks[MOST];
static int made;

__attribute__((noinline)) void tick(void)
{
    atomic_fetch_add(&ticks, 1);
}

static void futex_wait(atomic_int *word, int value)
{
    /* Not FUTEX_PRIVATE: the kernel's own wake-up at CLONE_CHILD_CLEARTID is not. */
    syscall(SYS_futex, word, FUTEX_WAIT, value, NULL, NULL, 0);
}

static void futex_wake(atomic_int *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE, MOST, NULL, NULL, 0);
}

/* What each of them does until it is told to leave. */
static int serve(void *seen)
{
    int last = (int)(long)seen;
    for (;;) {
        while (atomic_load(&turn) == last) {
            futex_wait(&turn, last);
        }
        last = atomic_load(&turn);
        switch (order) {
        case CALL:
            for (int i = 0; i < calls; i++) {
                tick();
            }
            break;
        case LEAD:
            while (atomic_load(&turn) == last) {
                tick();
            }
            continue;
        case END:
            return 0;
        case EXECUTE:
            execl("/bin/sleep", "sleep", "1000", NULL);
            return 9;
        }
        atomic_fetch_add(&done, 1);
        futex_wake(&done);
    }
}

static int visit(void *unused)
{
    (void)unused;
    for (int i = 0; i < 5; i++) {
        tick();
    }
    return 0;
}

static int as_other_user(void *seen)
{
    /* By system calls: those of the C library change all threads that it knows of. */
    if (syscall(SYS_setresgid, 65534, 65534, 65534) || syscall(SYS_setresuid, 65534, 65534, 65534)
        || prctl(PR_SET_DUMPABLE, 1)) {
        return 8;
    }
    return serve(seen);
}

/* Returns the place of a new one. */
static int place(void)
{
    int i = 0;
    while (atomic_load(&here[i])) {
        if (++i == MOST) {
            die("too many");
        }
    }
    if (!stacks[i]) {
        stacks[i] = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    }
    atomic_store(&here[i], -1);
    return i;
}

static pid_t start_in(int i, int (*function)(void *), void *argument, int flags)
{
    pid_t pid = clone(function, stacks[i] + STACK, CLONE_VM | CLONE_CHILD_CLEARTID | CLONE_PARENT_SETTID | flags,
                      argument, &here[i], NULL, &here[i]);
    if (pid < 0) {
        die("clone");
    }
    return pid;
}

static pid_t start(int (*function)(void *), void *argument, int flags)
{
    made++;
    return start_in(place(), function, argument, flags);
}

static void *now(void)
{
    return (void *)(long)atomic_load(&turn);
}

/* For "orphan" and "chain": the place of the second. */
struct second {
    int place;
    volatile pid_t pid;
    void *seen;
};

static int make_second(void *argument)
{
    struct second *second = argument;
    second->pid = start_in(second->place, serve, second->seen, SIGCHLD);
    return 0;
}

static int make_second_and_serve(void *argument)
{
    struct second *second = argument;
    void *seen = second->seen;
    make_second(argument);
    return serve(seen);
}

static int make_thread_and_serve(void *argument)
{
    struct second *second = argument;
    void *seen = second->seen;
    second->pid = start_in(second->place, serve, second->seen, SHARED);
    return serve(seen);
}

static int make_thread_and_leave(void *argument)
{
    struct second *second = argument;
    second->pid = start_in(second->place, serve, second->seen, SHARED);
    syscall(SYS_exit, 0);
    return 0;
}

/* For "vfork": the thread that is stuck while its child serves. */
static void *wait_in_vfork(void *argument)
{
    int *arguments = argument;
    made++;
    start_in(arguments[0], serve, now(), CLONE_VFORK | arguments[1]);
    return NULL;
}

static void await_gone(int i)
{
    int tid;
    while ((tid = atomic_load(&here[i])) != 0) {
        futex_wait(&here[i], tid);
    }
}

static pid_t make(const char *kind)
{
    if (strcmp(kind, "child") == 0) {
        return start(serve, now(), SIGCHLD);
    } else if (strcmp(kind, "sibling") == 0) {
        return start(serve, now(), CLONE_PARENT | SIGCHLD);
    } else if (strcmp(kind, "untraced") == 0) {
        return start(serve, now(), CLONE_UNTRACED | SIGCHLD);
    } else if (strcmp(kind, "untraced_thread") == 0) {
        return start(serve, now(), CLONE_UNTRACED | SHARED);
    } else if (strcmp(kind, "other_user") == 0) {
        return start(as_other_user, now(), SIGCHLD);
    } else if (strncmp(kind, "vfork", 5) == 0) {
        static int arguments[2];
        pthread_t thread;
        int i = place();
        arguments[0] = i;
        arguments[1] = strcmp(kind, "vfork") == 0 ? SIGCHLD : CLONE_PARENT | SIGCHLD;
        errno = pthread_create(&thread, NULL, wait_in_vfork, arguments);
        if (errno) {
            die("pthread_create");
        }
        int tid;
        while ((tid = atomic_load(&here[i])) == -1) {
            sched_yield();
        }
        return tid;
    }
    struct second second = {.place = place(), .seen = now()};
    int first = place();
    if (strcmp(kind, "orphan") == 0) {
        made++;
        pid_t between = start_in(first, make_second, &second, SIGCHLD);
        waitpid(between, NULL, 0);
        await_gone(first);
        return second.pid;
    }
    if (strcmp(kind, "leaderless") == 0) {
        made++;
        pid_t leader = start_in(first, make_thread_and_leave, &second, SIGCHLD);
        await_gone(first);
        return leader;
    }
    made += 2;
    pid_t pid = start_in(first, strcmp(kind, "chain") == 0 ? make_second_and_serve : make_thread_and_serve, &second,
                         SIGCHLD);
    while (!second.pid) {
        sched_yield();
    }
    return strcmp(kind, "chain") == 0 ? second.pid : pid;
}

static void give(enum order what)
{
    order = what;
    atomic_fetch_add(&turn, 1);
    futex_wake(&turn);
}

static void go(int number)
{
    long before = atomic_load(&ticks);
    int finished = atomic_load(&done);
    calls = number;
    give(CALL);
    for (int i = 0; i < number; i++) {
        tick();
    }
    int so_far;
    while ((so_far = atomic_load(&done)) - finished < made) {
        futex_wait(&done, so_far);
    }
    say("ticks %ld", atomic_load(&ticks));
    say_verdict(atomic_load(&ticks) - before == (long)number * (made + 1));
}

static void await_all_gone(void)
{
    for (int i = 0; i < MOST; i++) {
        await_gone(i);
    }
    made = 0;
    say_verdict(true);
}

static int flags_of(const char *kind)
{
    return strcmp(kind, "sibling") == 0    ? CLONE_PARENT | SIGCHLD
           : strcmp(kind, "vfork") == 0    ? CLONE_VFORK | SIGCHLD
           : strcmp(kind, "thread") == 0   ? SHARED
                                           : SIGCHLD;
}

static void storm(const char *kind)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    int flags = flags_of(kind);
    long before = atomic_load(&ticks), count = 0;
    do {
        /* Four at a time, of which none waits for another. */
        for (int n = 0; n < 4; n++, count++) {
            start_in(place(), visit, NULL, flags);
        }
        for (int i = 0; i < MOST; i++) {
            await_gone(i);
        }
        if (!(flags & (CLONE_PARENT | CLONE_THREAD))) {
            while (waitpid(-1, NULL, 0) > 0) {
            }
        }
    } while (poll(&input, 1, 0) == 0);
    await_command("stop");
    say("made %ld", count);
    say_verdict(atomic_load(&ticks) - before == 5 * count);
}

int main(int argc, char **argv)
{
    (void)argc;
    say_ready();
    const char *command;
    while ((command = next_command())) {
        if (strncmp(command, "make ", 5) == 0) {
            char kind[32];
            snprintf(kind, sizeof kind, "%s", command + 5);
            say("kin %d", make(kind));
        } else if (strncmp(command, "go ", 3) == 0) {
            go(atoi(command + 3));
        } else if (strncmp(command, "storm ", 6) == 0) {
            char kind[32];
            snprintf(kind, sizeof kind, "%s", command + 6);
            storm(kind);
        } else if (strcmp(command, "lead") == 0) {
            give(LEAD);
            say("leading");
        } else if (strcmp(command, "end") == 0) {
            give(END);
            await_all_gone();
        } else if (strcmp(command, "exec") == 0) {
            give(EXECUTE);
            await_all_gone();
        } else if (strcmp(command, "exec_self") == 0) {
            execv("/proc/self/exe", argv);
            die("exec");
        }
    }
}

/* sysblock: threads blocked in system calls, which must not notice that they are interrupted.
 *
 *   <- thread TID NAME      for each of read, futex, poll, epoll and nanosleep, after "ready"
 *   -> release
 *   <- NAME returns N eintr N early N
 *                           how often the call has returned, how often with EINTR, and how
 *                           often for no reason
 *   <- ok | BAD             whether all returned only when, and with what, they should
 *
 * When the program says that it is ready, each thread has nothing to do any more but its call:
 * one in state S is blocked in it.
 * nanosleep sleeps for 20 ms again and again, the others wait until "release". The kernel
 * lets epoll_wait fail with EINTR after any stop, whether a handler ran or not (signal(7)):
 * that is counted and does not make it bad. */
#define _GNU_SOURCE
#include "fixture.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static atomic_uint futex_word;
static atomic_bool released;
static int pipe_ends[2], epoll_fd;

static int block_in_read(void)
{
    char byte;
    return (int)read(pipe_ends[0], &byte, 1);
}

static int block_in_futex(void)
{
    int result = (int)syscall(SYS_futex, &futex_word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
    return result < 0 && errno == EAGAIN ? 0 : result;
}

static int block_in_poll(void)
{
    struct pollfd event = {.fd = pipe_ends[0], .events = POLLIN};
    return poll(&event, 1, 1000000) == 1 ? 0 : -1;
}

static int block_in_epoll(void)
{
    struct epoll_event event;
    return epoll_wait(epoll_fd, &event, 1, -1) == 1 ? 0 : -1;
}

static int block_in_nanosleep(void)
{
    return nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
}

static struct blocker {
    const char *name;
    int (*block)(void);
    pthread_t thread;
    atomic_bool begun;
    atomic_int tid;
    unsigned long returns, eintr, early, wrong;
} blockers[] = {{.name = "read", .block = block_in_read},
                {.name = "futex", .block = block_in_futex},
                {.name = "poll", .block = block_in_poll},
                {.name = "epoll", .block = block_in_epoll},
                {.name = "nanosleep", .block = block_in_nanosleep}};

#define N_BLOCKERS (sizeof blockers / sizeof *blockers)

static long now_nanos(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000 + time.tv_nsec;
}

static void *run(void *argument)
{
    struct blocker *blocker = argument;
    bool sleeps = blocker->block == block_in_nanosleep;
    atomic_store(&blocker->tid, gettid());
    do {
        long begin = now_nanos();
        atomic_store(&blocker->begun, true);
        int result = blocker->block();
        blocker->returns++;
        if (result < 0 && errno == EINTR) {
            blocker->eintr++;
        } else if (result != 0) {
            blocker->wrong++;
        }
        if (sleeps ? now_nanos() - begin < 20000000 : !atomic_load(&released)) {
            blocker->early++;
        }
    } while (!atomic_load(&released));
    return NULL;
}

int main(void)
{
    epoll_fd = epoll_create1(0);
    if (pipe(pipe_ends) < 0 || epoll_fd < 0
        || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, pipe_ends[0], &(struct epoll_event){.events = EPOLLIN}) < 0) {
        die("pipe");
    }
    for (size_t i = 0; i < N_BLOCKERS; i++) {
        errno = pthread_create(&blockers[i].thread, NULL, run, &blockers[i]);
        if (errno) {
            die("pthread_create");
        }
        while (!atomic_load(&blockers[i].begun)) {
            sched_yield();
        }
    }
    say_ready();
    for (size_t i = 0; i < N_BLOCKERS; i++) {
        say("thread %d %s", atomic_load(&blockers[i].tid), blockers[i].name);
    }

    await_command("release");
    atomic_store(&released, true);
    atomic_store(&futex_word, 1);
    syscall(SYS_futex, &futex_word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    close(pipe_ends[1]);
    bool ok = true;
    for (size_t i = 0; i < N_BLOCKERS; i++) {
        struct blocker *blocker = &blockers[i];
        pthread_join(blocker->thread, NULL);
        say("%s returns %lu eintr %lu early %lu", blocker->name, blocker->returns, blocker->eintr, blocker->early);
        if (blocker->block != block_in_epoll) {
            ok &= blocker->eintr == 0 && blocker->early == 0;
        }
        ok &= blocker->wrong == 0;
    }
    say_verdict(ok);
    await_command("exit");
}

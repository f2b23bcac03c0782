/* sandbox: shuts itself off from system calls.
 *
 *   sandbox [worker]      worker: with a second thread, which executes the lines that begin with
 *                         "worker "
 *   sandbox execute LINE PROGRAM ARGUMENTS...
 *                         does what the line says, and executes another program
 *
 *   -> strict             enters seccomp's strict mode
 *   -> filter HOW CALL [BITS]
 *                         adds a filter for the system call of that number, if its third
 *                         argument has one of the bits: kill, errno, trap or allow
 *   -> tsync HOW CALL [BITS]
 *                         the same for all threads
 *   -> storm HOW CALL     the same when the tracer sets storm_go
 *   -> work               calls work
 *   -> edge               calls work where its first push makes the stack grow
 *   -> handle             installs a handler for SIGTRAP, which calls work
 *   -> trap               executes a breakpoint of its own
 *   -> fork               creates a process that calls work
 *   -> poll               waits in poll(2), with a time-out, until "wake"; says "polls" before
 *   -> wink               sends the worker SIGWINCH, which is ignored
 *   <- done | BAD         after each of them, when it is done
 *
 * In strict mode it leaves by exit(2) alone, in the end. */
#define _GNU_SOURCE
#include "fixture.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

atomic_int storm_go, storm_done;
static atomic_int traps;
static int lines[2], wakes[2];
static __thread bool strict;
static atomic_int worker_tid;

static bool works(void)
{
    bool right = true;
    for (unsigned long i = 0; i < 10; i++) {
        right &= work(i) == expected_work(i);
    }
    return right;
}

/* The return address is pushed into the lowest word of a page that the stack has grown to just for it. */
static bool works_at_the_edge(void)
{
    static long depth = 1 << 17;
    unsigned long argument = 3, value;
    __asm__ volatile("mov %%rsp, %%r12\n\t"
                     "and $-4096, %%rsp\n\t"
                     "sub %2, %%rsp\n\t"
                     "add $8, %%rsp\n\t"
                     "call work\n\t"
                     "mov %%r12, %%rsp"
                     : "=a"(value), "+D"(argument)
                     : "r"(depth)
                     : "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "r12", "memory", "cc");
    depth += 1 << 16;
    return value == expected_work(3);
}

static void on_trap(int signal)
{
    (void)signal;
    traps += works();
}

static unsigned action(const char *how)
{
    return strcmp(how, "kill") == 0    ? SECCOMP_RET_KILL_PROCESS
           : strcmp(how, "errno") == 0 ? SECCOMP_RET_ERRNO | EPERM
           : strcmp(how, "trap") == 0  ? SECCOMP_RET_TRAP
                                       : SECCOMP_RET_ALLOW;
}

static bool add_filter(const char *how, unsigned call, unsigned bits, unsigned flags)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, bits, 0, bits ? 1 : 0),
        BPF_STMT(BPF_RET | BPF_K, action(how)),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
           && syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program) == 0;
}

static bool fork_and_work(void)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        _exit(works() ? 0 : 1);
    }
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

static bool execute(const char *line)
{
    char how[8];
    unsigned call, bits = 0;
    if (strcmp(line, "strict") == 0) {
        strict = true;
        return prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0) == 0;
    }
    if (sscanf(line, "filter %7s %u %u", how, &call, &bits) >= 2) {
        return add_filter(how, call, bits, 0);
    }
    if (sscanf(line, "tsync %7s %u %u", how, &call, &bits) >= 2) {
        return add_filter(how, call, bits, SECCOMP_FILTER_FLAG_TSYNC);
    }
    if (sscanf(line, "storm %7s %u", how, &call) == 2) {
        say("storms");
        while (!storm_go) {
        }
        bool added = add_filter(how, call, 0, SECCOMP_FILTER_FLAG_TSYNC);
        storm_done = 1;
        return added;
    }
    if (strcmp(line, "edge") == 0) {
        return works_at_the_edge();
    }
    if (strcmp(line, "handle") == 0) {
        return sigaction(SIGTRAP, &(struct sigaction){.sa_handler = on_trap}, NULL) == 0;
    }
    if (strcmp(line, "trap") == 0) {
        int before = traps;
        __asm__ volatile("int3" ::: "memory");
        return traps == before + 1;
    }
    if (strcmp(line, "fork") == 0) {
        return fork_and_work();
    }
    if (strcmp(line, "poll") == 0) {
        struct pollfd event = {.fd = wakes[0], .events = POLLIN};
        say("polls");
        return poll(&event, 1, 1000000) == 1;
    }
    if (strcmp(line, "wink") == 0) {
        return syscall(SYS_tgkill, getpid(), worker_tid, SIGWINCH) == 0;
    }
    if (strcmp(line, "wake") == 0) {
        return write(wakes[1], "", 1) == 1;
    }
    return strcmp(line, "work") == 0 && works();
}

/* In strict mode by write(2) alone: stdout has a lock, which the other thread holds for a moment when it
 * begins to read a line, and whoever is woken, or wakes, for it calls futex(2) and dies of that. */
static void report(bool done)
{
    if (strict) {
        write(STDOUT_FILENO, done ? "done\n" : "BAD\n", done ? 5 : 4);
    } else {
        say(done ? "done" : "BAD");
    }
}

static void leave(void)
{
    if (strict) {
        syscall(SYS_exit, 0);
    }
    exit(0);
}

static void *serve_worker(void *unused)
{
    char line[64];
    worker_tid = gettid();
    while (read(lines[0], line, sizeof line) == sizeof line && *line) {
        report(execute(line));
    }
    leave();
    return unused;
}

int main(int argc, char **argv)
{
    bool worker = argc > 1 && strcmp(argv[1], "worker") == 0;
    if (argc > 3 && strcmp(argv[1], "execute") == 0) {
        if (!execute(argv[2])) {
            die(argv[2]);
        }
        execvp(argv[3], argv + 3);
        die(argv[3]);
    }
    if (pipe(lines) < 0 || pipe(wakes) < 0) {
        die("pipe");
    }
    if (worker) {
        pthread_t thread;
        errno = pthread_create(&thread, NULL, serve_worker, NULL);
        if (errno) {
            die("pthread_create");
        }
    }
    say_ready();
    for (const char *line; (line = next_command());) {
        if (worker && strncmp(line, "worker ", 7) == 0) {
            char copy[64] = {0};
            strncpy(copy, line + 7, sizeof copy - 1);
            if (write(lines[1], copy, sizeof copy) != sizeof copy) {
                report(false);
            }
        } else {
            report(execute(line));
        }
    }
    if (worker && strict) {
        // It ends the process.
        write(lines[1], (char[64]){0}, 64);
    }
    leave();
}

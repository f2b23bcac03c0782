/* forker MODE: processes that a program creates, or becomes. MODE is one of
 *
 *   fork | vfork | posix_spawn | clone_vm      create a child that calls work()
 *   exec                                       become this program anew
 *   thread_exec                                the same, by another thread than the first
 *
 *   -> go               (as often as wanted)
 *   <- child PID        after the child has ended, except with exec
 *   <- ok | BAD         whether work() returned what it should, there and here; with exec
 *                       followed by "ready PID", from the new program
 *   -> exec             (thread_exec only, after "go") the other thread executes this program
 *   <- ready PID        from the new program; the first thread's call of work() need not return
 *   vm_exec                                    become this program anew, beside a child in the old memory
 *
 *   -> go               (vm_exec) makes a child that shares memory and calls work() again and again
 *   <- child PID
 *   -> exec             (vm_exec) executes this program; the child stays
 *   <- ready PID        from the new program
 *   -> release          (vm_exec) the child ends
 *   <- ok | BAD
 *   -> hold             (fork only) makes a child that calls work() and then waits
 *   <- child PID        it has called work() and waits now
 *   -> release          it calls work() once more and ends
 *   <- ok | BAD
 *
 *   -> resign           the process gives CAP_SYS_PTRACE and CAP_SYS_ADMIN up for good, if it has them
 *   <- ok
 *   -> confine          it gets a seccomp filter, which allows everything
 *   <- ok
 *   -> hide             the process makes itself undumpable: its files in /proc are the superuser's then
 *   <- ok
 *
 * A child's exit code is the low byte of its result. With clone_vm and vfork the child shares
 * the memory of its parent; clone_vm's parent goes on meanwhile. */
#define _GNU_SOURCE
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SELF "/proc/self/exe"

static unsigned long rounds;

static int exit_code(unsigned long result)
{
    return (int)(result & 0xff);
}

static int child(void *x)
{
    return exit_code(work((unsigned long)x));
}

static pid_t start_fork(unsigned long x)
{
    pid_t pid = fork();
    if (pid == 0) {
        _exit(child((void *)x));
    }
    return pid;
}

static pid_t start_vfork(unsigned long x)
{
    pid_t pid = vfork();
    if (pid == 0) {
        _exit(exit_code(work(x)));
    }
    return pid;
}

static pid_t start_posix_spawn(unsigned long x)
{
    char text[32];
    snprintf(text, sizeof text, "%lu", x);
    pid_t pid;
    errno = posix_spawn(&pid, SELF, NULL, NULL, (char *[]){"forker", "child", text, NULL}, environ);
    return errno ? -1 : pid;
}

static pid_t start_clone_vm(unsigned long x)
{
    static _Alignas(16) char stack[64 * 1024];
    return clone(child, stack + sizeof stack, CLONE_VM | SIGCHLD, (void *)x);
}

static bool ended_well(pid_t pid, unsigned long x)
{
    int status;
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == exit_code(expected_work(x));
}

/* Between "hold" and "release". */
static void hold(unsigned long x)
{
    int called[2], released[2];
    if (pipe(called) < 0 || pipe(released) < 0) {
        die("pipe");
    }
    pid_t pid = fork();
    if (pid < 0) {
        die("fork");
    }
    char byte;
    if (pid == 0) {
        close(released[1]);
        bool ok = work(x) == expected_work(x);
        close(called[0]);
        close(called[1]);
        ok &= read(released[0], &byte, 1) == 0;
        _exit(ok ? child((void *)x) : ~exit_code(expected_work(x)) & 0xff);
    }
    close(called[1]);
    close(released[0]);
    bool ok = read(called[0], &byte, 1) == 0;
    say("child %d", pid);
    await_command("release");
    close(called[0]);
    close(released[1]);
    say_verdict(ok & ended_well(pid, x));
}

/* For "vm_exec". */
static int released[2];

/* Calls work() until nobody can write to the pipe any more. */
static int child_until_released(void *unused)
{
    char byte;
    (void)unused;
    close(released[1]);
    for (unsigned long x = 0;; x++) {
        if (work(x) != expected_work(x)) {
            return 1;
        }
        if (read(released[0], &byte, 1) == 0) {
            return 0;
        }
    }
}

/* "vm_exec", before the execution; with arguments, after it. */
static void execute_beside_child(int argc, char **argv)
{
    if (argc > 2) {
        pid_t pid = (pid_t)number_argument(argc, argv, 2, 0);
        int status;
        await_command("release");
        close((int)number_argument(argc, argv, 3, 0));
        say_verdict(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
        return;
    }
    static _Alignas(16) char stack[64 * 1024];
    await_command("go");
    if (pipe(released) < 0 || fcntl(released[0], F_SETFL, O_NONBLOCK) < 0) {
        die("pipe");
    }
    pid_t pid = clone(child_until_released, stack + sizeof stack, CLONE_VM | SIGCHLD, NULL);
    if (pid < 0) {
        die("clone");
    }
    close(released[0]);
    char child_text[16], pipe_text[16];
    snprintf(child_text, sizeof child_text, "%d", pid);
    snprintf(pipe_text, sizeof pipe_text, "%d", released[1]);
    say("child %d", pid);
    await_command("exec");
    execv(SELF, (char *[]){argv[0], argv[1], child_text, pipe_text, NULL});
    die("exec");
}

static void create(pid_t (*start)(unsigned long))
{
    unsigned long x = ++rounds;
    pid_t pid = start(x);
    if (pid < 0) {
        die("cannot create a child");
    }
    bool ok = work(x) == expected_work(x);
    ok &= ended_well(pid, x);
    say("child %d", pid);
    say_verdict(ok);
}

static void *execute(void *argv)
{
    await_command("exec");
    execv(SELF, argv);
    die("exec");
}

/* work() in the first thread, until it returns or the other thread executes. */
static void work_beside_execution(char **argv)
{
    pthread_t other;
    errno = pthread_create(&other, NULL, execute, argv);
    if (errno) {
        die("pthread_create");
    }
    say_verdict(work(1) == expected_work(1));
    pthread_join(other, NULL);
}

/* A process with more capabilities than its tracer may not be looked into anyway (cap_ptrace_access_check()). */
static bool resign(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &header, data) < 0) {
        return false;
    }
    unsigned mask = CAP_TO_MASK(CAP_SYS_PTRACE) | CAP_TO_MASK(CAP_SYS_ADMIN);
    if (!(data[0].permitted & mask)) {
        return true;
    }
    data[0].effective &= ~mask;
    data[0].permitted &= ~mask;
    data[0].inheritable &= ~mask;
    return prctl(PR_CAPBSET_DROP, CAP_SYS_PTRACE) == 0 && prctl(PR_CAPBSET_DROP, CAP_SYS_ADMIN) == 0 &&
           syscall(SYS_capset, &header, data) == 0;
}

static bool confine(void)
{
    struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {1, &allow};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        pid_t (*start)(unsigned long);
    } modes[] = {{"fork", start_fork},
                 {"vfork", start_vfork},
                 {"posix_spawn", start_posix_spawn},
                 {"clone_vm", start_clone_vm},
                 {"exec", NULL},
                 {"thread_exec", NULL},
                 {"vm_exec", NULL}};

    const char *mode = argc > 1 ? argv[1] : "fork";
    if (strcmp(mode, "child") == 0) {
        return child((void *)number_argument(argc, argv, 2, 0));
    }
    size_t m = 0;
    while (strcmp(modes[m].name, mode) != 0) {
        if (++m == sizeof modes / sizeof *modes) {
            fprintf(stderr, "no such mode: %s\n", mode);
            return 2;
        }
    }
    say_ready();
    if (strcmp(mode, "vm_exec") == 0) {
        execute_beside_child(argc, argv);
    }
    const char *command;
    while ((command = next_command())) {
        if (strcmp(command, "hold") == 0) {
            hold(++rounds);
        } else if (strcmp(command, "resign") == 0) {
            say_verdict(resign());
        } else if (strcmp(command, "confine") == 0) {
            say_verdict(confine());
        } else if (strcmp(command, "hide") == 0) {
            say_verdict(prctl(PR_SET_DUMPABLE, 0) == 0);
        } else if (strcmp(command, "go") == 0 && modes[m].start) {
            create(modes[m].start);
        } else if (strcmp(command, "go") == 0 && strcmp(mode, "thread_exec") == 0) {
            work_beside_execution(argv);
        } else if (strcmp(command, "go") == 0) {
            say_verdict(work(1) == expected_work(1));
            execv(SELF, argv);
            die("exec");
        }
    }
}

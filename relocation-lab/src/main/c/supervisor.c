/* supervisor JVM_PID STDERR_FILE COMMAND ARGUMENT...: parent and reaper of one target.
 *
 * A process that is to be traced must not be a child of the JVM: the JDK waits for every
 * child it starts, in a thread of its own, and would take the ptrace stops away from the
 * tracer. So the JVM starts this program, and this program starts the target.
 *
 * The target gets standard input and output of this program as they are; its standard error
 * goes to STDERR_FILE. What happens to it is reported on standard error, a line each:
 *
 *   started PID       the target has executed COMMAND (exec has happened)
 *   failed MESSAGE    it could not be started
 *   exited CODE
 *   killed SIGNAL
 *
 * Nothing outlives the JVM or this program: SIGTERM (sent by TargetProcess.close) or the
 * death of the JVM, seen through a pidfd, makes it kill and reap everything that descends
 * from it, orphans included, for which it is the subreaper. The death of the JVM's thread
 * that started it does not count, which rules out PR_SET_PDEATHSIG at this level. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int report_fd;

static void report(const char *what, const char *detail)
{
    /* A JVM that is gone is no reason to fail: there is still a target to end. */
    if (dprintf(report_fd, "%s %s\n", what, detail) < 0) {
        return;
    }
}

static void report_number(const char *what, int number)
{
    char text[16];
    snprintf(text, sizeof text, "%d", number);
    report(what, text);
}

static void fail(const char *what)
{
    char text[512];
    snprintf(text, sizeof text, "%s: %s", what, strerror(errno));
    report("failed", text);
    exit(EXIT_FAILURE);
}

/* Starts the target and returns its pid when it has executed its command. */
static pid_t start(char **command, const char *stderr_file)
{
    int exec_error[2];
    if (pipe2(exec_error, O_CLOEXEC) < 0) {
        fail("pipe");
    }
    pid_t supervisor = getpid();
    pid_t pid = fork();
    if (pid < 0) {
        fail("fork");
    }
    if (pid == 0) {
        sigset_t none;
        sigemptyset(&none);
        /* What the JVM, or a shell that started it, ignores is not ignored by the target. */
        for (int s = 1; s < NSIG; s++) {
            signal(s, SIG_DFL);
        }
        int stderr_fd;
        /* A process group of its own, whose leader has a parent in the same session: so it is
         * not orphaned, and SIGTSTP stops it as it stops a job of a shell. */
        if (setpgid(0, 0) == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == supervisor
            && (stderr_fd = open(stderr_file, O_WRONLY | O_APPEND | O_CLOEXEC)) >= 0
            && dup2(stderr_fd, STDERR_FILENO) >= 0 && sigprocmask(SIG_SETMASK, &none, NULL) == 0) {
            execvp(command[0], command);
        }
        int error = errno;
        _exit(write(exec_error[1], &error, sizeof error) == sizeof error ? 127 : 126);
    }
    close(exec_error[1]);
    int error;
    ssize_t length;
    do {
        length = read(exec_error[0], &error, sizeof error);
    } while (length < 0 && errno == EINTR);
    if (length != 0) {
        waitpid(pid, NULL, 0);
        errno = length == sizeof error ? error : EIO;
        fail(command[0]);
    }
    close(exec_error[0]);
    return pid;
}

/* Takes the statuses of all processes that have ended; false when no process is left. Stops
 * and continues are not asked for: job control is the target's own business. */
static bool reap(pid_t target)
{
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid == 0) {
            return true;
        }
        if (pid < 0) {
            return false;
        }
        if (pid == target) {
            if (WIFEXITED(status)) {
                report_number("exited", WEXITSTATUS(status));
            } else {
                report_number("killed", WTERMSIG(status));
            }
        }
    }
}

/* Kills every child. Their children become ours, and are killed the next time round. */
static void kill_children(void)
{
    FILE *children = fopen("/proc/thread-self/children", "re");
    int pid;
    while (children && fscanf(children, "%d", &pid) == 1) {
        kill(pid, SIGKILL);
    }
    if (children) {
        fclose(children);
    }
}

int main(int argc, char **argv)
{
    report_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    if (report_fd < 0 || argc < 4) {
        return 2;
    }
    pid_t jvm = atoi(argv[1]);
    int jvm_fd = (int)syscall(SYS_pidfd_open, jvm, 0);
    if (jvm_fd < 0) {
        fail("pidfd_open");
    }
    if (getppid() != jvm) {
        return EXIT_FAILURE;
    }
    /* Ctrl-C in a terminal is meant for the JVM; it decides what happens to its targets. */
    setsid();
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_SETMASK, &signals, NULL);
    int signal_fd = signalfd(-1, &signals, SFD_CLOEXEC);
    if (signal_fd < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0) {
        fail("signalfd");
    }

    pid_t target = start(argv + 3, argv[2]);
    signal(SIGPIPE, SIG_IGN);
    /* The target's pipes are the target's alone, so that it sees, and shows, their ends. */
    close(STDIN_FILENO);
    close(STDOUT_FILENO);
    close(STDERR_FILENO);
    report_number("started", target);

    bool ending = false;
    while (reap(target)) {
        if (ending) {
            kill_children();
        }
        struct pollfd events[] = {{.fd = signal_fd, .events = POLLIN},
                                  {.fd = ending ? -1 : jvm_fd, .events = POLLIN}};
        if (poll(events, 2, -1) < 0 && errno != EINTR) {
            ending = true;
        }
        struct signalfd_siginfo info;
        if (events[0].revents && read(signal_fd, &info, sizeof info) == sizeof info
            && info.ssi_signo == SIGTERM) {
            ending = true;
        }
        if (events[1].revents) {
            ending = true;
        }
    }
    return EXIT_SUCCESS;
}

/* masks sigsuspend|ppoll|pselect: blocks SIGUSR1 but for the time of that system call.
 *
 *   <- ready PID
 *   <- handled N RESULT MASK    after each SIGUSR1: how many were handled, EINTR or what the
 *                               call has returned, and whether the signal is blocked again */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/select.h>
#include <unistd.h>

static volatile int handled;

static void on_signal(int signal)
{
    (void)signal;
    handled++;
}

int main(int argc, char **argv)
{
    sigset_t mask, none, now;
    const char *mode = argc > 1 ? argv[1] : "";
    sigemptyset(&none);
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    sigaction(SIGUSR1, &(struct sigaction){.sa_handler = on_signal}, NULL);
    printf("ready %d\n", getpid());
    fflush(stdout);
    for (;;) {
        int result = strcmp(mode, "sigsuspend") == 0 ? sigsuspend(&none)
                     : strcmp(mode, "ppoll") == 0    ? ppoll(NULL, 0, NULL, &none)
                                                     : pselect(0, NULL, NULL, NULL, NULL, &none);
        int error = errno;
        sigprocmask(SIG_BLOCK, NULL, &now);
        printf("handled %d %s %s\n", handled, result == -1 && error == EINTR ? "EINTR" : "otherwise",
               sigismember(&now, SIGUSR1) ? "blocked" : "unblocked");
        fflush(stdout);
    }
}

/* signals HZ SECONDS: work() in the main program, and in a handler that interrupts it.
 *
 *   -> go             (as often as wanted)
 *   <- calls N        calls of work() by the main program
 *   <- handled N      signals handled since the program began
 *   <- ok | BAD
 *
 * An interval timer raises SIGALRM HZ times a second, at whatever instruction the program is
 * just then, until HZ * SECONDS (a decimal fraction) have been handled: where handlers take
 * longer than the interval the main program gets its turn when all are. Its handler calls work(), and queues
 * SIGRTMIN to the process with a serial number as its value: it is good only if no queued
 * signal is lost, delivered twice or overtaken, and if every call returns what it should. */
#define _GNU_SOURCE
#include "fixture.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

static volatile sig_atomic_t sent, received, errors, goal;

static void check_work(unsigned long x)
{
    if (work(x) != expected_work(x)) {
        errors++;
    }
}

static void set_timer(long microseconds)
{
    struct timeval interval = {microseconds / 1000000, microseconds % 1000000};
    setitimer(ITIMER_REAL, &(struct itimerval){interval, interval}, NULL);
}

static void on_alarm(int signal)
{
    (void)signal;
    check_work((unsigned long)sent);
    sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = ++sent});
    if (sent == goal) {
        set_timer(0);
    }
}

static void on_queued(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)context;
    check_work((unsigned long)info->si_value.sival_int);
    if (info->si_value.sival_int != ++received) {
        errors++;
    }
}

int main(int argc, char **argv)
{
    unsigned long hz = number_argument(argc, argv, 1, 100);
    double seconds = argc > 2 ? strtod(argv[2], NULL) : 1;
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = on_alarm, .sa_flags = SA_RESTART}, NULL);
    sigaction(SIGRTMIN, &(struct sigaction){.sa_sigaction = on_queued, .sa_flags = SA_RESTART | SA_SIGINFO}, NULL);
    say_ready();
    for (;;) {
        await_command("go");
        unsigned long calls = 0;
        goal = sent + (sig_atomic_t)((double)hz * seconds);
        set_timer((long)(1000000 / hz));
        do {
            for (unsigned long i = 0; i < 100; i++) {
                check_work(calls++);
            }
        } while (sent < goal);
        /* What the timer and the handler have raised is delivered on return from this call at
         * the latest, since no signal is blocked here. */
        getppid();
        say("calls %lu", calls);
        say("handled %d", (int)(sent + received));
        say_verdict(errors == 0 && sent == received);
    }
}

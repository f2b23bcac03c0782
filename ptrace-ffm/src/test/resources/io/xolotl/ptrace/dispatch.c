/* dispatch: takes its own system calls by Syscall User Dispatch, as Wine does.
 *
 *   <- ready PID ADDRESS    of an int; spins until it is not zero, then makes a system call
 *   <- dispatched           the call has raised SIGSYS */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#define PR_SYS_DISPATCH_ON 1
#endif

enum { ALLOW, BLOCK };

static volatile char selector = ALLOW;
static volatile int go;

static void on_call(int signal)
{
    static const char line[] = "dispatched\n";
    (void)signal;
    selector = ALLOW;
    _exit(write(STDOUT_FILENO, line, strlen(line)) < 0);
}

int main(void)
{
    sigaction(SIGSYS, &(struct sigaction){.sa_handler = on_call}, NULL);
    if (prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, 0, 0, &selector) < 0) {
        puts("unsupported");
        return 0;
    }
    printf("ready %d %p\n", getpid(), (void *)&go);
    fflush(stdout);
    selector = BLOCK;
    while (!go) {
    }
    return (int)syscall(SYS_getpid) == 0;
}

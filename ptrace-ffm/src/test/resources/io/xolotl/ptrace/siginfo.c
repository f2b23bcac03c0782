/* siginfo: at a line of input it reads memory that is not mapped, and prints what its handler is told.
 *
 *   <- ready PID
 *   -> (line)
 *   <- signal N code N address 0x...     the siginfo of the SIGSEGV */
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static sigjmp_buf back;
static siginfo_t seen;

static void on_signal(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)context;
    seen = *info;
    siglongjmp(back, 1);
}

int main(void)
{
    sigaction(SIGSEGV, &(struct sigaction){.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO}, NULL);
    printf("ready %d\n", getpid());
    fflush(stdout);
    while (getchar() != EOF) {
        if (sigsetjmp(back, 1) == 0) {
            *(volatile char *)0x10;
        }
        printf("signal %d code %d address %p\n", seen.si_signo, seen.si_code, seen.si_addr);
        fflush(stdout);
    }
    return 0;
}

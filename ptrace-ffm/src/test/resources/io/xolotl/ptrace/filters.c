/* filters: asks the kernel what seccomp filters make of system calls.
 *
 *   <- ready ADDRESS      behind the system call instruction
 *   -> CALL A B C D E F FILTER...
 *                         in hexadecimal: a number, six arguments, and up to three filters to add, the first one
 *                         first, each of them struct sock_filter
 *   <- returns N          what the call returned
 *   <- traps N            SIGSYS with si_errno N
 *   <- killed N           by a signal
 *   <- refused            no such filter */
#define _GNU_SOURCE
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile struct { int state; long value; } *result;
enum { REFUSED, KILLED, RETURNS, TRAPS };

extern const char behind[];

__attribute__((noinline)) static long make(const long *c)
{
    register long r10 __asm__("r10") = c[4], r8 __asm__("r8") = c[5], r9 __asm__("r9") = c[6];
    long value = c[0];
    __asm__ volatile("syscall\n\t.globl behind\nbehind:"
                     : "+a"(value)
                     : "D"(c[1]), "S"(c[2]), "d"(c[3]), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return value;
}

static void on_sigsys(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)context;
    result->state = TRAPS;
    result->value = info->si_errno;
    _exit(0);
}

static int add(const char *hex)
{
    struct sock_filter filter[256];
    unsigned char *bytes = (unsigned char *)filter;
    size_t n = strlen(hex) / 2;
    for (size_t i = 0; i < n && i < sizeof filter; i++) {
        unsigned byte;
        sscanf(hex + 2 * i, "%2x", &byte);
        bytes[i] = (unsigned char)byte;
    }
    struct sock_fprog program = {(unsigned short)(n / sizeof *filter), filter};
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

int main(void)
{
    static char line[32768];
    result = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    sigaction(SIGSYS, &(struct sigaction){.sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO}, NULL);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("ready %lx\n", (long)behind);
    while (fgets(line, sizeof line, stdin)) {
        result->state = REFUSED;
        pid_t child = fork();
        if (child == 0) {
            long call[7];
            char *rest = line;
            for (int i = 0; i < 7; i++) {
                call[i] = (long)strtoul(rest, &rest, 16);
            }
            for (char *hex = strtok(rest, " \n"); hex; hex = strtok(NULL, " \n")) {
                if (add(hex)) {
                    _exit(0);
                }
            }
            result->state = KILLED;
            result->value = make(call);
            result->state = RETURNS;
            _exit(0);
        }
        int status;
        waitpid(child, &status, 0);
        if (WIFSIGNALED(status)) {
            printf("killed %d\n", WTERMSIG(status));
        } else if (result->state == REFUSED) {
            puts("refused");
        } else {
            printf("%s %ld\n", result->state == TRAPS ? "traps" : "returns", result->value);
        }
    }
    return 0;
}

/* syscalls N: one syscall instruction, in the main program and in a handler that interrupts it.
 *
 *   -> go             (as often as wanted)
 *   <- calls N        system calls made by that instruction, by both together
 *   <- handled N      signals handled meanwhile
 *   <- ok | BAD       whether all returned what they should
 *   -> block          the instruction reads from standard input, which nothing is written to
 *
 * The main program asks for its process id N times, and on until FEWEST_HANDLED signals are handled. Meanwhile a child process
 * sends SIGUSR1 to it as fast as they are handled, and each handler does the same: what arrives in front of the
 * instruction must neither be kept waiting by it nor make it count twice. */
#define _GNU_SOURCE
#include "fixture.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FEWEST_HANDLED = 30 };

static volatile sig_atomic_t handled, errors;
static long pid;

/* In assembly, so that it is there once. */
long system_call(long number, long a, void *b, long c);
__asm__(".globl system_call, the_syscall\n"
        ".type system_call, @function\n"
        "system_call:\n"
        "    mov %rdi, %rax\n"
        "    mov %rsi, %rdi\n"
        "    mov %rdx, %rsi\n"
        "    mov %rcx, %rdx\n"
        "the_syscall:\n"
        "    syscall\n"
        "    ret\n"
        ".size system_call, . - system_call\n");

static void check_call(void)
{
    if (system_call(SYS_getpid, 0, NULL, 0) != pid) {
        errors++;
    }
}

static void on_signal(int signal)
{
    (void)signal;
    check_call();
    handled++;
}

static pid_t start_sender(void)
{
    pid_t sender = fork();
    if (sender == 0) {
        while (kill((pid_t)pid, SIGUSR1) == 0) {
        }
        _exit(0);
    }
    return sender;
}

int main(int argc, char **argv)
{
    unsigned long n = number_argument(argc, argv, 1, 1000);
    pid = getpid();
    sigaction(SIGUSR1, &(struct sigaction){.sa_handler = on_signal, .sa_flags = SA_RESTART}, NULL);
    say_ready();
    const char *command;
    while ((command = next_command())) {
        if (command[0] == 'b') {
            char byte;
            system_call(SYS_read, STDIN_FILENO, &byte, 1);
            continue;
        }
        handled = 0;
        pid_t sender = start_sender();
        unsigned long calls = 0;
        for (; calls < n || handled < FEWEST_HANDLED; calls++) {
            check_call();
        }
        kill(sender, SIGKILL);
        waitpid(sender, NULL, 0);
        /* No signal is blocked: all are handled by now. */
        say("calls %lu", calls + (unsigned long)handled);
        say("handled %d", (int)handled);
        say_verdict(errors == 0);
    }
}

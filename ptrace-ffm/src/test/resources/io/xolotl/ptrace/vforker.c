/* vforker: a child of vfork waits for a line of input while its creator waits for it.
 *
 *   <- ready PID
 *   <- child            printed by the child
 *   -> (line)
 *   <- status N         of the child, which has ended */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
    int status = -1;
    char byte;
    setvbuf(stdin, NULL, _IONBF, 0);
    printf("ready %d\n", getpid());
    fflush(stdout);
    pid_t pid = vfork();
    if (pid == 0) {
        _exit(write(STDOUT_FILENO, "child\n", 6) == 6 && read(STDIN_FILENO, &byte, 1) == 1 ? 7 : 1);
    }
    waitpid(pid, &status, 0);
    printf("status %d\n", WEXITSTATUS(status));
    fflush(stdout);
    return 0;
}

/* zombie: has a child that has ended and for which it does not wait.
 *
 *   <- zombie PID     at once after "ready" */
#include "fixture.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
    pid_t pid = fork();
    if (pid < 0) {
        die("fork");
    }
    if (pid == 0) {
        _exit(0);
    }
    /* Waits for the end without taking the status. */
    siginfo_t info;
    if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) < 0) {
        die("waitid");
    }
    say_ready();
    say("zombie %d", pid);
    await_command("exit");
}

/* execer main|other|pair: executes itself anew, from its main thread or from another, while threads run;
 * with pair there are only these two.
 *
 *   <- ready PID
 *   -> (line)
 *   <- executed         from the new program, which then waits for the end of its input */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char **arguments;

static void *run(void *unused)
{
    for (;;) {
        __asm__ volatile("pause");
    }
    return unused;
}

static void *execute(void *unused)
{
    char byte;
    while (read(0, &byte, 1) == 1 && byte != '\n') {
    }
    execl("/proc/self/exe", arguments[0], "executed", NULL);
    _exit(1);
    return unused;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    char byte;
    (void)argc;
    arguments = argv;
    if (strcmp(argv[1], "executed") == 0) {
        puts("executed");
        fflush(stdout);
        while (read(0, &byte, 1) == 1) {
        }
        return 0;
    }
    for (int i = 0; i < 3 && strcmp(argv[1], "pair") != 0; i++) {
        pthread_create(&thread, NULL, run, NULL);
    }
    if (strcmp(argv[1], "main") != 0) {
        pthread_create(&thread, NULL, execute, NULL);
    }
    printf("ready %d\n", getpid());
    fflush(stdout);
    if (strcmp(argv[1], "main") == 0) {
        execute(NULL);
    }
    run(NULL);
}

/* leaderless [wait]: its main thread ends, after a line of input with "wait", another lives on.
 *
 *   <- ready PID ADDRESS     of a long that is 4711
 *   -> (line)
 *   <- value N               what that long is by now */
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

static volatile long value = 4711;
static pthread_t main_thread;

static void *live_on(void *unused)
{
    int c;
    pthread_join(main_thread, NULL);
    while ((c = getchar()) != EOF) {
        if (c == '\n') {
            printf("value %ld\n", value);
            fflush(stdout);
        }
    }
    _exit(0);
    return unused;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    (void)argv;
    setvbuf(stdin, NULL, _IONBF, 0);
    main_thread = pthread_self();
    pthread_create(&thread, NULL, live_on, NULL);
    printf("ready %d %lx\n", getpid(), (unsigned long)&value);
    fflush(stdout);
    if (argc > 1) {
        while (getchar() != '\n') {
        }
    }
    pthread_exit(NULL);
}

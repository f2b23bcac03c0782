/* alter: results that a handler can change, by registers or memory.
 *
 *   -> go             (as often as wanted)
 *   <- add R          add(2, 3): 5 unless changed; arguments in rdi and rsi
 *   <- skip_me R      skip_me(): 1, and skip_count is incremented, unless it is skipped
 *   <- skipped N      "go"s so far in which skip_me's body was not executed
 *   <- half R         half(7.0): 3.5; argument and result in xmm0
 *   <- global R       the variable global_value, a long: 100
 *   <- message TEXT   the variable message, a string of at most 31 characters: hello */
#include "fixture.h"

#define PROBED __attribute__((noipa))

volatile long global_value = 100;
volatile long skip_count;
char message[32] = "hello";

long add(long a, long b);
long skip_me(void);
double half(double x);

PROBED long add(long a, long b)
{
    return a + b;
}

PROBED long skip_me(void)
{
    skip_count++;
    return 1;
}

PROBED double half(double x)
{
    return x / 2;
}

int main(void)
{
    say_ready();
    for (long rounds = 1;; rounds++) {
        await_command("go");
        say("add %ld", add(2, 3));
        say("skip_me %ld", skip_me());
        say("skipped %ld", rounds - skip_count);
        say("half %g", half(7));
        say("global %ld", global_value);
        say("message %s", message);
    }
}

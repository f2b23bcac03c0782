/* ifunc: a function whose implementation is chosen when the program is loaded.
 *
 *   -> go             (as often as wanted)
 *   <- chosen R       chosen(20): 41, computed by chosen_second
 *   <- ok | BAD
 *
 * The symbol chosen is of type STT_GNU_IFUNC: its value is the address of a resolver. */
#include "fixture.h"

static long chosen_first(long x)
{
    return 2 * x;
}

static long chosen_second(long x)
{
    return 2 * x + 1;
}

/* Volatile, so that the compiler keeps both. */
static volatile char prefer_first;

static long (*resolve_chosen(void))(long)
{
    return prefer_first ? chosen_first : chosen_second;
}

long chosen(long x) __attribute__((ifunc("resolve_chosen")));

int main(void)
{
    say_ready();
    for (;;) {
        await_command("go");
        long result = chosen(20);
        say("chosen %ld", result);
        say_verdict(result == 41);
    }
}

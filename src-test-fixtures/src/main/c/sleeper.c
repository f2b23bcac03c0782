/* sleeper: waits for its input to end, and for nothing else. */
#include "fixture.h"

int main(void)
{
    say_ready();
    await_command("exit");
}

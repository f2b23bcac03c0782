/* What the target programs share: the protocol on standard input and output, the function
 * work() with its expected value, and a team of threads that works in rounds. */
#ifndef FIXTURE_H
#define FIXTURE_H

#include <stdbool.h>
#include <stddef.h>

/* In work.S, with a label on every instruction. */
unsigned long work(unsigned long x);

/* Thread function in work.S: calls work(argument) and returns its result; its first
 * instruction, the first of the new thread in this program, has the label thread_entry. */
void *work_thread(void *argument);

/* What work(x) must return, computed by C. */
unsigned long expected_work(unsigned long x);

/* Says that the program is set up: "ready PID". */
void say_ready(void);

/* Prints a line at once. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Prints "ok" or "BAD", the program's verdict on itself. */
void say_verdict(bool ok);

/* The next line of standard input without its line feed; NULL at its end or for "exit".
 * The result is valid until the next call. */
const char *next_command(void);

/* Reads commands until one equals `command`; leaves the program at "exit" or end of input. */
void await_command(const char *command);

/* Ends the program with a message on standard error. */
void die(const char *what) __attribute__((noreturn));

/* The argument argv[index] as a number, or `otherwise` if there are fewer arguments. */
unsigned long number_argument(int argc, char **argv, int index, unsigned long otherwise);

/* A team of threads that lives as long as the program: every thread calls `member` once a
 * round. The threads exist when team_create returns. */
typedef void team_member(unsigned index);
void team_create(unsigned size, team_member *member);
void team_begin_round(void);
void team_end_round(void);

/* One round that lasts from the command "go" to the command "stop". Members return when
 * team_stopping(). Whenever told "count" meanwhile it prints "count N", where N is count(). */
void team_round_until_stop(unsigned long (*count)(void));
bool team_stopping(void);

#endif

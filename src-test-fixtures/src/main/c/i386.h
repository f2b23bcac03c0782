/* What the parts of the 32-bit program share. It is freestanding: the machine that builds it may have a compiler for
 * 32-bit code but no C library for it. */
#ifndef I386_H
#define I386_H

#include <stdbool.h>
#include <stddef.h>

/* In i386.S, with a label on every instruction. */
unsigned work(unsigned x);

/* A system call by the int 0x80 at site_system_call; −4095 to −1 is a negated errno. */
long system_call(long number, long a, long b, long c, long d, long e);

/* A thread that calls function(argument), which must not return, on a stack of its own. */
long start_thread(void *stack_end, void (*function)(void *), void *argument);

/* clone(CLONE_VM | SIGCHLD): a process in the same memory, with the result of function(argument) as its exit code. */
long start_process(void *stack_end, int (*function)(void *), void *argument);

/* Calls work(x) in a child of vfork, with the low byte of its result as exit code. */
long vfork_work(unsigned x);

/* Signal handlers return through these: sigreturn and rt_sigreturn. */
void restore(void);
void restore_rt(void);

/* Far calls of 64-bit code: returns 2 * x + 1. */
unsigned twice_and_one(unsigned x);

/* In i386_insns.S. */
typedef unsigned insn_function(void);
struct insn {
    const char *name;
    insn_function *function;
    unsigned expected;
};
extern const struct insn insn_table[], insn_table_end[];
unsigned insn_call(insn_function *function, unsigned *damage);
extern volatile unsigned fault_site, fault_address, fault_resume, fault_seen, insn_pid;
extern char fault_page[4096];
extern unsigned gs_block[8];

/* For the kinds of instructions that are easier in C. */
unsigned restarted_call(void);
unsigned interrupted_call(void);

#endif

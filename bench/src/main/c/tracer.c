/* tracer PID SITE LENGTH SLOT HITS TECHNIQUE: the least that a tracer in C can do to execute an instruction out of
 * line, to compare other tracers with.
 *
 * Attaches to the single-threaded process PID, puts a breakpoint on the instruction of LENGTH bytes at SITE, and says
 * that it is ready. For each hit it then makes the stops of the TECHNIQUE: one if "emulated" or "boosted", two if
 * "trapped" or "single-stepped". A copy is put at SLOT. At the last hit the breakpoint is removed.
 *
 *   <- hits HITS                       when it has detached, and ends
 *
 * It knows the instructions of loops.S only, and says "unsupported" instead of "ready" if TECHNIQUE is not for the one
 * at SITE. */
#define _GNU_SOURCE
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static const unsigned long ZF = 1 << 6;

/* Stops between two looks where the process runs. */
enum { LOOK = 128 };

static pid_t pid;
static int memory;
static unsigned long site, length, slot;
static unsigned char original[16];

/* Goes to the CPU where the process runs, as a tracer should that alternates with it: otherwise either waits for an idle
 * CPU to wake up. */
static void follow(void)
{
    static int cpu = -1;
    char path[32], line[512];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t count = read(file, line, sizeof line - 1);
    close(file);
    if (count <= 0) {
        die(path);
    }
    line[count] = 0;
    /* Field 39 of proc_pid_stat(5), counted from the second, which ends with the last parenthesis. */
    char *field = strrchr(line, ')');
    for (int i = 2; i < 39 && field; i++) {
        field = strchr(field + 1, ' ');
    }
    int now = field ? atoi(field) : cpu;
    if (now != cpu) {
        cpu = now;
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(cpu, &set);
        /* Where a cpuset forbids it, it is only slower. */
        sched_setaffinity(0, sizeof set, &set);
    }
}

/* What the instruction at the site is, by its first bytes. */
static enum { NOP, PUSH_RSI, CALL, JNZ, RET, LEA_RCX, OTHER } kind;

static enum { EMULATED, BOOSTED, TRAPPED, SINGLE_STEPPED } technique;

static void write_code(unsigned long address, const void *bytes, size_t count)
{
    if (pwrite(memory, bytes, count, (off_t)address) != (ssize_t)count) {
        die("pwrite");
    }
}

static void read_long(unsigned long address, unsigned long *value)
{
    struct iovec local = {value, 8}, remote = {(void *)address, 8};
    if (process_vm_readv(pid, &local, 1, &remote, 1, 0) != 8) {
        die("process_vm_readv");
    }
}

static void write_long(unsigned long address, unsigned long value)
{
    struct iovec local = {&value, 8}, remote = {(void *)address, 8};
    if (process_vm_writev(pid, &local, 1, &remote, 1, 0) != 8) {
        die("process_vm_writev");
    }
}

static void request(enum __ptrace_request what, void *data)
{
    if (ptrace(what, pid, NULL, data) < 0) {
        die("ptrace");
    }
}

/* Waits for the next trap; other signals are passed on. */
static void await_trap(void)
{
    for (;;) {
        int status;
        if (waitpid(pid, &status, __WALL) < 0) {
            die("waitpid");
        }
        if (!WIFSTOPPED(status)) {
            fprintf(stderr, "the target has ended\n");
            exit(EXIT_FAILURE);
        }
        if (WSTOPSIG(status) == SIGTRAP) {
            return;
        }
        request(PTRACE_CONT, (void *)(intptr_t)WSTOPSIG(status));
    }
}

static int displacement(unsigned at)
{
    int value;
    memcpy(&value, original + at, sizeof value);
    return value;
}

static void recognize(void)
{
    if (pread(memory, original, length, (off_t)site) != (ssize_t)length) {
        die("pread");
    }
    kind = original[0] == 0x90 || (original[0] == 0x0f && original[1] == 0x1f) ? NOP
        : original[0] == 0x56                                                  ? PUSH_RSI
        : original[0] == 0xe8                                                  ? CALL
        : original[0] == 0x75                                                  ? JNZ
        : original[0] == 0xc3                                                  ? RET
        : original[0] == 0x48 && original[1] == 0x8d && original[2] == 0x0d    ? LEA_RCX
                                                                               : OTHER;
}

static bool supported(void)
{
    switch (technique) {
    case EMULATED:
        return kind != OTHER;
    case BOOSTED:
    case TRAPPED:
        return kind != CALL && kind != JNZ && kind != RET;
    case SINGLE_STEPPED:
        return true;
    }
    return false;
}

static void write_copy(void)
{
    unsigned char copy[32];
    memcpy(copy, original, length);
    if (kind == LEA_RCX) {
        int moved = displacement(3) + (int)(site - slot);
        memcpy(copy + 3, &moved, sizeof moved);
    }
    if (technique == BOOSTED) {
        int back = (int)(site + length - (slot + length + 5));
        copy[length] = 0xe9;
        memcpy(copy + length + 1, &back, sizeof back);
    } else {
        copy[length] = 0xcc;
    }
    write_code(slot, copy, length + 5);
}

static void emulate(struct user_regs_struct *regs)
{
    unsigned long next = site + length;
    regs->rip = next;
    switch (kind) {
    case PUSH_RSI:
        regs->rsp -= 8;
        write_long(regs->rsp, regs->rsi);
        break;
    case CALL:
        regs->rsp -= 8;
        write_long(regs->rsp, next);
        regs->rip = next + (unsigned long)(long)displacement(1);
        break;
    case JNZ:
        if (!(regs->eflags & ZF)) {
            regs->rip = next + (unsigned long)(long)(signed char)original[1];
        }
        break;
    case RET: {
        unsigned long target;
        read_long(regs->rsp, &target);
        regs->rip = target;
        regs->rsp += 8;
        break;
    }
    case LEA_RCX:
        regs->rcx = next + (unsigned long)(long)displacement(3);
        break;
    case NOP:
    case OTHER:
        break;
    }
}

/* The copy was executed: what names it is made to name the original. */
static void come_back(struct user_regs_struct *regs)
{
    if (technique == TRAPPED) {
        regs->rip = site + length;
    } else if (kind != RET) {
        regs->rip += site - slot;
        if (kind == CALL) {
            write_long(regs->rsp, site + length);
        }
    }
}

static void hit(void)
{
    struct user_regs_struct regs;
    request(PTRACE_GETREGS, &regs);
    if (technique == EMULATED) {
        emulate(&regs);
    } else {
        regs.rip = slot;
    }
    request(PTRACE_SETREGS, &regs);
    if (technique == TRAPPED || technique == SINGLE_STEPPED) {
        request(technique == TRAPPED ? PTRACE_CONT : PTRACE_SINGLESTEP, NULL);
        await_trap();
        request(PTRACE_GETREGS, &regs);
        come_back(&regs);
        request(PTRACE_SETREGS, &regs);
    }
}

static void choose(const char *name)
{
    static const char *const names[] = {"emulated", "boosted", "trapped", "single-stepped"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i], name) == 0) {
            technique = i;
            return;
        }
    }
    fprintf(stderr, "no technique: %s\n", name);
    exit(2);
}

int main(int argc, char **argv)
{
    pid = (pid_t)number_argument(argc, argv, 1, 0);
    site = number_argument(argc, argv, 2, 0);
    length = number_argument(argc, argv, 3, 0);
    slot = number_argument(argc, argv, 4, 0);
    unsigned long hits = number_argument(argc, argv, 5, 1);
    choose(argc > 6 ? argv[6] : "");
    char path[32];
    snprintf(path, sizeof path, "/proc/%d/mem", pid);
    memory = open(path, O_RDWR | O_CLOEXEC);
    if (memory < 0) {
        die(path);
    }
    recognize();
    if (!supported()) {
        say("unsupported");
        return 0;
    }
    request(PTRACE_SEIZE, NULL);
    request(PTRACE_INTERRUPT, NULL);
    await_trap();
    write_copy();
    write_code(site, "\xcc", 1);
    request(PTRACE_CONT, NULL);
    say_ready();
    for (unsigned long i = 1;; i++) {
        await_trap();
        if (i % LOOK == 1) {
            follow();
        }
        if (i == hits) {
            write_code(site, original, 1);
        }
        hit();
        if (i == hits) {
            request(PTRACE_DETACH, NULL);
            break;
        }
        request(PTRACE_CONT, NULL);
    }
    say("hits %lu", hits);
}

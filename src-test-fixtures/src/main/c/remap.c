/* remap FILE: code that is mapped, moved and replaced. FILE is what the program maps: it holds
 * nothing but the code of blob(), in work.S's manner, from its first page on.
 *
 *   -> file           maps FILE, private, and its code is what "call" calls
 *   -> anonymous      maps anonymous memory and copies the code there
 *   -> call
 *   <- result N       blob(N_CALLS): twice that plus 7
 *   -> unmap          the code is unmapped
 *   -> over           anonymous memory is mapped over the code, and filled with 0xCC
 *   -> other          FILE's second page, with other code (result 3 N + 5), is mapped over it
 *   -> same           FILE's first page is mapped over it again
 *   -> noexec | exec  its protection is changed
 *   -> writable       likewise, to read, write and execute
 *   -> rewrite        the code is written anew, byte by byte (when it is writable)
 *   -> operand        the last byte of its third instruction is changed: 3 N + 7 then
 *   -> forbid         the second byte of its third instruction is changed: iretq then, which faults
 *   -> copy           other memory gets a copy of the code as it is now
 *   -> place          mremap(2) puts that copy in place of the code
 *   -> move           mremap(2) moves it elsewhere, and "call" calls it there
 *   <- at ADDRESS     after each of these: where the code is, hex
 *   -> dump
 *   <- dump HEX       the first 64 bytes at the last ADDRESS
 *   -> try
 *   <- fault N        calls the code, and the signal that it raised; it is caught */
#define _GNU_SOURCE
#include "fixture.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096

static unsigned char *code;
static long calls;
static int file;
static unsigned char first[PAGE];
static sigjmp_buf fault;

static void on_fault(int signal)
{
    siglongjmp(fault, signal);
}

static void *map(void *where, int flags, int fd, off_t offset)
{
    void *mapped = mmap(where, PAGE, PROT_READ | PROT_EXEC, flags | MAP_PRIVATE, fd, offset);
    if (mapped == MAP_FAILED) {
        die("mmap");
    }
    return mapped;
}

static void protect(int protection)
{
    if (mprotect(code, PAGE, protection) < 0) {
        die("mprotect");
    }
}

static void fill(const unsigned char *content)
{
    protect(PROT_READ | PROT_WRITE);
    for (size_t i = 0; i < PAGE; i++) {
        code[i] = content ? content[i] : 0xcc;
    }
    protect(PROT_READ | PROT_EXEC);
}

static void poke(int offset, unsigned char value)
{
    protect(PROT_READ | PROT_WRITE | PROT_EXEC);
    code[offset] = value;
    protect(PROT_READ | PROT_EXEC);
}

/* What "copy" has made. */
static unsigned char *replacement;

static void copy(void)
{
    replacement = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (replacement == MAP_FAILED) {
        die("mmap");
    }
    memcpy(replacement, code, PAGE);
    if (mprotect(replacement, PAGE, PROT_READ | PROT_EXEC) < 0) {
        die("mprotect");
    }
}

static void place(void)
{
    if (mremap(replacement, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, code) == MAP_FAILED) {
        die("mremap");
    }
}

static void move(void)
{
    unsigned char *room = mmap(NULL, 16 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned char *moved = mremap(code, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, room + 8 * PAGE);
    if (moved == MAP_FAILED) {
        die("mremap");
    }
    code = moved;
}

static long call(void)
{
    long (*blob)(long);
    *(void **)&blob = code;
    return blob(++calls);
}

static void change(const char *command)
{
    if (strcmp(command, "file") == 0) {
        code = map(NULL, 0, file, 0);
    } else if (strcmp(command, "anonymous") == 0) {
        code = map(NULL, MAP_ANONYMOUS, -1, 0);
        fill(first);
    } else if (strcmp(command, "unmap") == 0) {
        munmap(code, PAGE);
    } else if (strcmp(command, "over") == 0) {
        map(code, MAP_FIXED | MAP_ANONYMOUS, -1, 0);
        fill(NULL);
    } else if (strcmp(command, "other") == 0) {
        map(code, MAP_FIXED, file, PAGE);
    } else if (strcmp(command, "same") == 0) {
        map(code, MAP_FIXED, file, 0);
    } else if (strcmp(command, "noexec") == 0) {
        protect(PROT_READ);
    } else if (strcmp(command, "exec") == 0) {
        protect(PROT_READ | PROT_EXEC);
    } else if (strcmp(command, "writable") == 0) {
        protect(PROT_READ | PROT_WRITE | PROT_EXEC);
    } else if (strcmp(command, "rewrite") == 0) {
        memcpy(code, first, PAGE);
    } else if (strcmp(command, "operand") == 0) {
        poke(7, 0x5b);
    } else if (strcmp(command, "forbid") == 0) {
        poke(5, 0xcf);
    } else if (strcmp(command, "copy") == 0) {
        copy();
    } else if (strcmp(command, "place") == 0) {
        place();
    } else if (strcmp(command, "move") == 0) {
        move();
    } else {
        fprintf(stderr, "no such command: %s\n", command);
        exit(2);
    }
    say("at %lx", (unsigned long)code);
}

static void dump(void)
{
    char text[129];
    for (int i = 0; i < 64; i++) {
        snprintf(text + 2 * i, 3, "%02x", code[i]);
    }
    say("dump %s", text);
}

int main(int argc, char **argv)
{
    /* Without one it only listens. */
    file = open(argc > 1 ? argv[1] : argv[0], O_RDONLY);
    if (file < 0 || pread(file, first, PAGE, 0) != PAGE) {
        die("FILE");
    }
    struct sigaction action = {.sa_handler = on_fault, .sa_flags = SA_NODEFER};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    sigaction(SIGTRAP, &action, NULL);
    say_ready();
    const char *command;
    while ((command = next_command())) {
        if (strcmp(command, "call") == 0) {
            say("result %ld", call());
        } else if (strcmp(command, "dump") == 0) {
            dump();
        } else if (strcmp(command, "try") == 0) {
            int signal = sigsetjmp(fault, 1);
            if (!signal) {
                call();
            }
            say("fault %d", signal);
        } else {
            change(command);
        }
    }
}

/* dlopener: loads and unloads libplug.so, which is in the directory of this program.
 *
 *   -> load
 *   <- loaded ADDRESS   hex, of plug_work; its constructor has called plug_work(1)
 *   <- ok | BAD         whether that returned 4
 *   -> go               (as often as wanted)
 *   <- plug R           plug_work(20): 61
 *   -> move             the library's code is moved to anonymous memory at the same address
 *   <- moved ADDRESS    hex, of its first page
 *   -> unload
 *   <- unloaded | BAD   the library's code is no longer mapped, or still is */
#define _GNU_SOURCE
#include "fixture.h"

#include <dlfcn.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void *library;
static long (*plug_work)(long);

static void load(void)
{
    char program[4096] = "", path[4200];
    if (readlink("/proc/self/exe", program, sizeof program - 1) < 0) {
        die("readlink");
    }
    snprintf(path, sizeof path, "%s/libplug.so", dirname(program));
    library = dlopen(path, RTLD_NOW);
    if (!library) {
        fprintf(stderr, "%s\n", dlerror());
        exit(EXIT_FAILURE);
    }
    *(void **)&plug_work = dlsym(library, "plug_work");
    long *constructed = dlsym(library, "plug_constructed");
    say("loaded %lx", (unsigned long)plug_work);
    say_verdict(*constructed == 4);
}

/* As programs do that want huge pages for their code. */
static void move(void)
{
    unsigned long start = 0, end = 0, wanted = (unsigned long)plug_work;
    char line[4400];
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps && fgets(line, sizeof line, maps) && sscanf(line, "%lx-%lx", &start, &end) == 2 &&
           !(start <= wanted && wanted < end)) {
    }
    fclose(maps);
    size_t size = end - start;
    void *copy = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (copy == MAP_FAILED) {
        die("mmap");
    }
    memcpy(copy, (void *)start, size);
    if (mprotect(copy, size, PROT_READ | PROT_EXEC) < 0 ||
        mremap(copy, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)start) == MAP_FAILED) {
        die("mremap");
    }
    say("moved %lx", start);
}

static void unload(void)
{
    Dl_info info;
    void *code = *(void **)&plug_work;
    dlclose(library);
    say(dladdr(code, &info) ? "BAD" : "unloaded");
    library = NULL;
}

int main(void)
{
    say_ready();
    const char *command;
    while ((command = next_command())) {
        if (strcmp(command, "load") == 0 && !library) {
            load();
        } else if (strcmp(command, "go") == 0 && library) {
            say("plug %ld", plug_work(20));
        } else if (strcmp(command, "move") == 0 && library) {
            move();
        } else if (strcmp(command, "unload") == 0 && library) {
            unload();
        }
    }
}

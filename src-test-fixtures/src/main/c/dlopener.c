/* dlopener: loads and unloads libplug.so, which is in the directory of this program.
 *
 *   -> load
 *   <- loaded ADDRESS   hex, of plug_work; its constructor has called plug_work(1)
 *   <- ok | BAD         whether that returned 4
 *   -> go               (as often as wanted)
 *   <- plug R           plug_work(20): 61
 *   -> unload
 *   <- unloaded | BAD   the library's code is no longer mapped, or still is */
#define _GNU_SOURCE
#include "fixture.h"

#include <dlfcn.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
        } else if (strcmp(command, "unload") == 0 && library) {
            unload();
        }
    }
}

/* Loads the library named by its argument, step by step: a line on standard input lets it go on. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#define PRINT(name, address) printf("%s %p\n", name, (void *) (address))

static void step(void) {
  puts("ready");
  fflush(stdout);
  if (getchar() == EOF)
    exit(0);
}

int main(int argc, char **argv) {
  struct timeval now;
  gettimeofday(&now, NULL);
  PRINT("gettimeofday", dlsym(RTLD_DEFAULT, "gettimeofday"));
  step();
  void *library = dlopen(argv[argc - 1], RTLD_NOW);
  if (!library) {
    fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  PRINT("versioned@LIB_1", dlvsym(library, "versioned", "LIB_1"));
  PRINT("versioned", dlsym(library, "versioned"));
  PRINT("orphan@LIB_1", dlvsym(library, "orphan", "LIB_1"));
  PRINT("plain", dlsym(library, "plain"));
  PRINT("picked", dlsym(library, "picked"));
  step();
  /* The same file as data, and even executable, where it is no module; and a module in pieces. */
  int file = open(argv[argc - 1], O_RDONLY);
  mmap(NULL, 16384, PROT_READ, MAP_PRIVATE, file, 0);
  mmap(NULL, 16384, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0);
  mprotect((void *) ((unsigned long) dlsym(library, "plain") & -4096L), 4096, PROT_READ | PROT_WRITE | PROT_EXEC);
  step();
  PRINT("second", dlsym(dlmopen(LM_ID_NEWLM, argv[argc - 1], RTLD_NOW), "plain"));
  step();
  return 0;
}

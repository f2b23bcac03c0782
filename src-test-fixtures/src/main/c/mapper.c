/* mapper [FILE]: maps all of FILE readable and executable, from its first byte on, but executes nothing of it. */
#define _GNU_SOURCE
#include "fixture.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

int main(int argc, char **argv)
{
    if (argc > 1) {
        int file = open(argv[1], O_RDONLY | O_CLOEXEC);
        struct stat status;
        if (file < 0 || fstat(file, &status) < 0
            || mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0) == MAP_FAILED) {
            die(argv[1]);
        }
    }
    say_ready();
    while (next_command()) {
    }
}

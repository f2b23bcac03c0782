/* zydis LIBRARY FILE OFFSET COUNT AMD: decodes instructions with a libZydis of version 4, as C programs do.
 *
 * They are the first COUNT instructions of FILE from OFFSET on; bytes that are none are passed over one by one.
 *
 *   -> decode ROUNDS                   all of them, ROUNDS times
 *   -> operands ROUNDS                 the same with their operands
 *   <- elapsed NANOSECONDS             of this thread's time on a CPU
 *   <- sum LENGTHS                     of all instructions, and so many rounds
 *   <- ok
 */
#include "fixture.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

/* What is needed of Zydis.h, version 4.0 and 4.1. */
typedef unsigned int ZyanStatus;
enum { ZYDIS_MACHINE_MODE_LONG_64 = 0, ZYDIS_STACK_WIDTH_64 = 2 };
enum { ZYDIS_DECODER_MODE_AMD_BRANCHES = 1, ZYDIS_DECODER_MODE_MPX = 3 };
typedef struct {
    _Alignas(8) unsigned char opaque[64];
} ZydisDecoder, ZydisDecoderContext;
typedef struct {
    unsigned int machine_mode, mnemonic;
    unsigned char length;
    unsigned char between[15];
    unsigned char operand_count;
    unsigned char rest[328 - 25];
} __attribute__((aligned(8))) ZydisDecodedInstruction;
typedef struct {
    _Alignas(8) unsigned char opaque[80];
} ZydisDecodedOperand;
_Static_assert(sizeof(ZydisDecodedInstruction) == 328, "size of Zydis 4");

static ZyanStatus (*ZydisDecoderInit)(ZydisDecoder *, int, int);
static ZyanStatus (*ZydisDecoderEnableMode)(ZydisDecoder *, int, unsigned char);
static ZyanStatus (*ZydisDecoderDecodeInstruction)(const ZydisDecoder *, ZydisDecoderContext *, const void *, size_t,
    ZydisDecodedInstruction *);
static ZyanStatus (*ZydisDecoderDecodeOperands)(const ZydisDecoder *, const ZydisDecoderContext *,
    const ZydisDecodedInstruction *, ZydisDecodedOperand *, unsigned char);

static ZydisDecoder decoder;
static const unsigned char *code;
static size_t size;
static size_t *offsets;
static unsigned long count;

static void require(ZyanStatus status, const char *what)
{
    if (status & 0x80000000) {
        fprintf(stderr, "%s failed with status %x\n", what, status);
        exit(EXIT_FAILURE);
    }
}

static void *find(void *library, const char *name)
{
    void *function = dlsym(library, name);
    if (!function) {
        fprintf(stderr, "%s\n", dlerror());
        exit(EXIT_FAILURE);
    }
    return function;
}

static void load(const char *path)
{
    void *library = dlopen(path, RTLD_NOW);
    if (!library) {
        fprintf(stderr, "%s\n", dlerror());
        exit(EXIT_FAILURE);
    }
    ZydisDecoderInit = find(library, "ZydisDecoderInit");
    ZydisDecoderEnableMode = find(library, "ZydisDecoderEnableMode");
    ZydisDecoderDecodeInstruction = find(library, "ZydisDecoderDecodeInstruction");
    ZydisDecoderDecodeOperands = find(library, "ZydisDecoderDecodeOperands");
}

static void map(const char *path)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (file < 0 || fstat(file, &status) < 0) {
        die(path);
    }
    size = (size_t)status.st_size;
    code = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
    if (code == MAP_FAILED) {
        die(path);
    }
}

static void find_instructions(size_t offset)
{
    offsets = calloc(count, sizeof *offsets);
    ZydisDecoderContext context;
    ZydisDecodedInstruction instruction;
    for (unsigned long i = 0; i < count;) {
        if (offset + 15 > size) {
            fprintf(stderr, "too few instructions\n");
            exit(EXIT_FAILURE);
        }
        if (ZydisDecoderDecodeInstruction(&decoder, &context, code + offset, 15, &instruction) & 0x80000000) {
            offset++;
        } else {
            offsets[i++] = offset;
            offset += instruction.length;
        }
    }
}

static unsigned long decode(unsigned long rounds, bool operands)
{
    unsigned long sum = 0;
    ZydisDecoderContext context;
    ZydisDecodedInstruction instruction;
    ZydisDecodedOperand decoded[10];
    for (unsigned long round = 0; round < rounds; round++) {
        for (unsigned long i = 0; i < count; i++) {
            ZydisDecoderDecodeInstruction(&decoder, &context, code + offsets[i], 15, &instruction);
            if (operands) {
                ZydisDecoderDecodeOperands(&decoder, &context, &instruction, decoded, instruction.operand_count);
            }
            sum += instruction.length;
        }
    }
    return sum;
}

static unsigned long cpu_time(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (unsigned long)time.tv_sec * 1000000000 + (unsigned long)time.tv_nsec;
}

int main(int argc, char **argv)
{
    if (argc > 5) {
        load(argv[1]);
        map(argv[2]);
        count = number_argument(argc, argv, 4, 0);
        require(ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64), "ZydisDecoderInit");
        require(ZydisDecoderEnableMode(&decoder, ZYDIS_DECODER_MODE_AMD_BRANCHES,
                    (unsigned char)number_argument(argc, argv, 5, 0)), "ZydisDecoderEnableMode");
        require(ZydisDecoderEnableMode(&decoder, ZYDIS_DECODER_MODE_MPX, 0), "ZydisDecoderEnableMode");
        find_instructions(number_argument(argc, argv, 3, 0));
    }
    say_ready();
    for (const char *command; (command = next_command());) {
        char what[16];
        unsigned long rounds;
        if (sscanf(command, "%15s %lu", what, &rounds) == 2 && count > 0) {
            unsigned long begin = cpu_time();
            unsigned long sum = decode(rounds, strcmp(what, "operands") == 0);
            say("elapsed %lu", cpu_time() - begin);
            say("sum %lu", sum);
            say_verdict(true);
        } else {
            say_verdict(false);
        }
    }
}

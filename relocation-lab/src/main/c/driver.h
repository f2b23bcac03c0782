/* What the two halves of the oracle share: oracle.c, which runs what it is given, and pairs.c, which makes the states
 * itself. */
#ifndef DRIVER_H
#define DRIVER_H

#include "oracle.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern uint64_t xsave_mask;

/* Where the shared memory is. */
extern unsigned char *shared;

extern const uint64_t region[N_REGIONS];

void *memcpy(void *to, const void *from, size_t count);
void *memset(void *to, int value, size_t count);

/* Returns the index of the first line of 64 bytes that differs, or -1. Both are aligned to 64 bytes. */
long first_difference(const void *a, const void *b, long lines);

/* What was written to code through another address is executed from now on. */
void serialize(void);

void die(const char *why) __attribute__((noreturn));

/* Loads a state, of which the image is given apart, executes from the entry, and fills in a result. */
void execute(unsigned char *in, const unsigned char *image, uint64_t entry, unsigned char *out);

/* How many times execute was called. */
extern uint64_t executions;

/* Ticks of CPU time: code that is executed for long has not hung while others have the CPU, or while it is stopped. An
 * execution that sees so many of them is a hang. */
void start_clock(long microseconds, unsigned limit);
void stop_clock(void);

/* Makes the areas for code writable, or executable. */
void open_code(void);
void close_code(void);
void fill_code(void);
/* Returns where the code at an address is written. */
unsigned char *code_at(uint64_t address);
/* Writes the exit at an address, behind which execution counts as having come out there. */
void place_exit(uint64_t address);

/* The n-th pair of lines that are compared of two XSAVE images: their first byte, and their number. */
extern struct span {
    uint32_t from, lines;
} span[4];
extern unsigned spans;

static inline unsigned char *input_of(uint32_t i)
{
    return shared + HEAD_BYTES + (size_t)i * RECORD_BYTES;
}

static inline unsigned char *result_of(uint32_t i)
{
    return shared + HEAD_BYTES + (size_t)(BATCH + i) * RECORD_BYTES;
}

static inline uint64_t *quad(unsigned char *record, size_t offset)
{
    return (uint64_t *)(record + offset);
}

static inline uint32_t *word(unsigned char *record, size_t offset)
{
    return (uint32_t *)(record + offset);
}

/* pairs.c */
void run_unit(unsigned char *unit);

#endif

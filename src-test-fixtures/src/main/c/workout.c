/* workout: uses functions of libraries on known input.
 *
 *   -> qsort | memcpy | printf | strtod | sha256       (as often as wanted)
 *   <- FUNCTION RESULT...                              the same for the same command, always
 *   <- sha256 skipped                                  there is no libcrypto.so.3
 *   <- done
 */
#define _GNU_SOURCE
#include "fixture.h"

#include <dlfcn.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state;

/* xorshift64 */
static uint64_t next_random(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static uint64_t hash(const void *bytes, size_t count)
{
    uint64_t h = 0xcbf29ce484222325;
    for (const unsigned char *b = bytes; count > 0; b++, count--) {
        h = (h ^ *b) * 0x100000001b3;
    }
    return h;
}

struct record {
    double key;
    char text[24];
};

static int by_key(const void *a, const void *b)
{
    double x = ((const struct record *)a)->key, y = ((const struct record *)b)->key;
    return (x > y) - (x < y);
}

static int by_value(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

static void use_qsort(void)
{
    struct record records[60];
    int numbers[120];
    for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
        records[i].key = (double)(int64_t)next_random();
        memset(records[i].text, 'a' + (int)(i % 26), sizeof records[i].text);
    }
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        numbers[i] = (int)next_random() % 50;
    }
    qsort(records, sizeof records / sizeof *records, sizeof *records, by_key);
    qsort(numbers, sizeof numbers / sizeof *numbers, sizeof *numbers, by_value);
    say("qsort %lx %lx", hash(records, sizeof records), hash(numbers, sizeof numbers));
}

static void use_memcpy(void)
{
    static unsigned char from[20000], to[20000];
    for (size_t i = 0; i < sizeof from; i++) {
        from[i] = (unsigned char)next_random();
    }
    memset(to, 0, sizeof to);
    uint64_t h = 0;
    static const size_t sizes[] = {0, 1, 2, 3, 4, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257,
        511, 512, 1000, 2047, 2048, 4096, 8191, 16000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        /* Through a pointer that the compiler does not see through: its own copies would not be the library's. */
        void *(*volatile copy)(void *, const void *, size_t) = memcpy;
        copy(to + i * 3 % 64, from + i * 7 % 64, sizes[i]);
        h = h * 31 + hash(to, sizes[i] + 64);
    }
    say("memcpy %lx", h);
}

static void use_printf(void)
{
    char text[4096];
    int n = 0;
    n += snprintf(text + n, sizeof text - (size_t)n, "%d|%5d|%-5d|%05d|%+d|% d|%x|%#o|%lu|%hhd|%zu|%jd", 42, -42, 42, 42, 42,
        42, 0xbeef, 8, 1234567890123UL, 300, (size_t)7, (intmax_t)-9);
    n += snprintf(text + n, sizeof text - (size_t)n, "|%f|%.3e|%g|%G|%a|%10.2f|%-10.1f|%Lf|%f|%f", 3.14159, 12345.678, 1e-5,
        1e20, 1.5, 2.71828, 0.5, 1.25L, (double)INFINITY, -0.0);
    n += snprintf(text + n, sizeof text - (size_t)n, "|%s|%10s|%-10s|%.2s|%c|%%|%ls|%*d|%.*f", "plain", "right", "left",
        "cut", 'c', L"wide", 6, 7, 2, 1.005);
    printf("printf %d %lx %s|%p\n", n, hash(text, (size_t)n), text, (void *)0x1234);
    fflush(stdout);
}

static void use_strtod(void)
{
    static const char *const texts[] = {"0", "1", "-1.5", "3.141592653589793238462643383279", "1e308", "1e-308", "4.9e-324",
        "2.2250738585072011e-308", "9007199254740993", "0x1.921fb54442d18p+1", "inf", "nan", "1e400", "123456789e-15",
        "0.000000000000000000000000000000000000001", "  +7.25rest", "none"};
    uint64_t h = 0;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char *end;
        double value = strtod(texts[i], &end);
        uint64_t bits;
        memcpy(&bits, &value, sizeof bits);
        h = h * 31 + (bits ^ (uint64_t)(end - texts[i]));
    }
    say("strtod %lx", h);
}

static void use_sha256(void)
{
    static unsigned char *(*digest)(const unsigned char *, size_t, unsigned char *);
    if (!digest) {
        void *library = dlopen("libcrypto.so.3", RTLD_NOW);
        void *function = library ? dlsym(library, "SHA256") : NULL;
        if (!function) {
            say("sha256 skipped");
            return;
        }
        memcpy(&digest, &function, sizeof digest);
    }
    unsigned char text[200], result[32];
    for (size_t i = 0; i < sizeof text; i++) {
        text[i] = (unsigned char)next_random();
    }
    char hex[65] = "";
    digest(text, sizeof text, result);
    for (size_t i = 0; i < sizeof result; i++) {
        static const char digits[] = "0123456789abcdef";
        hex[2 * i] = digits[result[i] >> 4];
        hex[2 * i + 1] = digits[result[i] & 15];
    }
    say("sha256 %s", hex);
}

int main(void)
{
    static const struct {
        const char *name;
        void (*use)(void);
    } functions[] = {{"qsort", use_qsort}, {"memcpy", use_memcpy}, {"printf", use_printf}, {"strtod", use_strtod},
        {"sha256", use_sha256}};
    say_ready();
    for (const char *command; (command = next_command());) {
        for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
            if (strcmp(functions[i].name, command) == 0) {
                state = 0x9e3779b97f4a7c15;
                functions[i].use();
            }
        }
        say("done");
    }
}

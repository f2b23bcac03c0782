/* The fast half of the oracle: an instruction in its place and its relocated code, from many states, without a stop and
 * without a system call for each.
 *
 * A unit has pairs of code, and a seed from which everything else follows: what the memory holds, a pool of vector
 * states, and each pair's states. From each of them the original is executed, then the copy, and all that can be seen
 * of the two is compared. Both leave by the original's exits, so that it is the same if they leave alike.
 *
 * The states of a pair depend on the seed of the unit and on the pair's number alone, not on what was executed before. So a
 * unit can be continued behind a pair that has killed the process.
 *
 * A second level is prepared: PAIR_ENTRY may name the original's own place, for one who patches it between the two. It
 * needs all originals of a unit to be executed before the first copy. */
#define _GNU_SOURCE
#include "driver.h"

#include <signal.h>

#define TICK_MICROSECONDS 4000
#define HANG_TICKS 2

#define IMAGES 256
/* An instruction that this CPU lacks raises SIGILL from each state, which takes long. */
#define ENOUGH_INVALID 2
#define DIGESTED_STATES 4
/* From so many states the original is not there while its copy is executed, which must not need it: in its place there will
 * be a jump. */
#define HIDDEN_STATES 1
#define CONFIRMATIONS 4
#define REPETITIONS 3
/* Where both leave: behind the original, and the target of branches further behind. */
#define TAKEN 0x40

#define TF_TRAP 2 /* TRAP_TRACE */
#define PAGE_FAULT 14

struct operand {
    uint8_t base, index, scale, segment, narrow, written;
    uint16_t width;
    int64_t displacement;
};
#define NO_REGISTER 0xff
/* Of an operand of a branch: the displacement is an address, or counts from behind the instruction. */
#define RSP 4

struct pair {
    uint64_t address, entry, copy;
    uint8_t length, copy_length, operands, target, target_register, options;
    uint16_t states;
    uint8_t code[16];
    struct operand operand[2];
    uint8_t unused[0x30];
    uint8_t copy_code[0x80];
    /* Of each byte of the copy: in the lower half how far in the original a fault there is, in the upper one how many times
     * eight bytes rsp is lower. */
    uint8_t fault[0x80];
    uint8_t end[0x80];
};
_Static_assert(sizeof(struct pair) == PAIR_BYTES, "pair");
_Static_assert(offsetof(struct pair, operand) == PAIR_OPERAND, "operand");
_Static_assert(offsetof(struct pair, copy_code) == PAIR_COPY_CODE, "copy_code");
_Static_assert(offsetof(struct pair, fault) == PAIR_FAULTS, "fault");

struct tally {
    uint64_t digest;
    uint32_t pairs, completed, signals[N_SIGNALS], hangs, differences, dropped, transient, varying, other_fault;
    uint8_t unused[TALLY_BYTES - 0x40];
};
_Static_assert(sizeof(struct tally) == TALLY_BYTES, "tally");

/* A line of memory that was changed. */
struct line {
    uint32_t where, unused;
    uint64_t content[8];
};
#define MOST_LINES (N_REGIONS * REGION_BYTES / 64)
struct changes {
    uint32_t count;
    struct line line[MOST_LINES];
};

#define CANARIES 512
static uint64_t canary_before[CANARIES];
static unsigned char first[XSAVE_IMAGE + XSAVE_BYTES] __attribute__((aligned(64)));
static unsigned char second[XSAVE_IMAGE + XSAVE_BYTES] __attribute__((aligned(64)));
static unsigned char third[XSAVE_IMAGE + XSAVE_BYTES] __attribute__((aligned(64)));
static struct changes changes_first, changes_second, changes_third;
static struct pair current;
static unsigned char state[IN_CODE] __attribute__((aligned(64)));
static unsigned char pool[IMAGES][XSAVE_BYTES] __attribute__((aligned(64)));
static unsigned char template[N_REGIONS][REGION_BYTES] __attribute__((aligned(4096)));
static uint64_t canary_behind[CANARIES];

static unsigned char *unit;
/* All of the memory is looked at after each execution, not only where operands are aimed at. */
static bool whole;
static bool hiding;
/* A state of this pair may have changed memory that nobody has looked at. */
static bool strayed;
/* The first instruction of the copy has raised a signal. */
static bool failed_first;
/* What a state has put in memory: the target of an indirect branch, or an image. */
static unsigned char *planted;
static uint32_t planted_bytes;
static unsigned char before_planting[XSAVE_BYTES];

/* Random numbers: splitmix64 (Steele, Lea and Flood, OOPSLA 2014). */

static uint64_t random_state;

static uint64_t mixed(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static uint64_t draw(void)
{
    return mixed(random_state += 0x9e3779b97f4a7c15);
}

static void seed(uint64_t a, uint64_t b)
{
    random_state = mixed(a * 0x9e3779b97f4a7c15 + mixed(b + 0xd1b54a32d192ed03));
}

static const uint64_t numbers[] = {0, 1, 2, 7, 8, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000,
                                   0xffffffff, INT64_MAX, 1UL << 63, -1UL, -2UL, -8UL, 1UL << 47, (1UL << 47) - 1,
                                   1UL << 32};
#define NUMBERS (sizeof numbers / sizeof *numbers)

static uint64_t start_of(unsigned r)
{
    return r < N_REGIONS ? region[r] : CONSTANT;
}

/* An address in or at the edge of a region, within what is looked at: its first 256 bytes, 512 around the page boundary,
 * and the last 256. */
static uint64_t spot(uint64_t r, unsigned in, unsigned width)
{
    uint64_t start = start_of(in);
    uint64_t some = r >> 8 & 0xff;
    unsigned size = width ? width : 1;
    switch (r & 15) {
    case 0:
    case 1:
        return start + REGION_BYTES - size;
    case 2:
        return start + REGION_BYTES - some % (size + 1);
    case 3:
    case 4:
        return start + REGION_BYTES / 2 - some % (size + 1);
    case 5:
        return start - some % (size + 1);
    case 6:
        return start + REGION_BYTES / 2 - 128 - (some & 1) * size;
    case 7:
    case 8:
        return start + (some & 0x7f);
    case 9:
        return start + (some & 0xc0);
    default:
        return start + REGION_BYTES / 2 - 256 + (r >> 8 & 0x1c0);
    }
}

static uint64_t number(void)
{
    uint64_t r = draw();
    switch (r & 7) {
    case 0:
        return draw();
    case 1:
        return (uint64_t)(int64_t)(int32_t)(r >> 32);
    case 2:
        return numbers[(r >> 8 & 0xff) % NUMBERS];
    case 3:
    case 4:
        return spot(r >> 16, (r >> 8 & 0xff) % (N_REGIONS + 1), 8);
    default:
        return (r >> 8 & 0xff) % 33;
    }
}

/* Numbers as the elements of vectors have them: two singles, a double, two small indices. */
static uint64_t element(void)
{
    static const uint32_t singles[] = {0, 0x80000000, 0x3f800000, 0xbfc00000, 1, 0x80000001, 0x00400000, 0x7f7fffff,
                                       0x7f800000, 0xff800000, 0x7fc00000, 0x7f800001, 0x4f000000, 0x3dcccccd, 0x3f000000,
                                       0x40490fdb};
    static const uint64_t doubles[] = {0, 1UL << 63, 0x3ff0000000000000, 0xbff8000000000000, 1, 0x8000000000000001,
                                       0x0008000000000000, 0x7fefffffffffffff, 0x7ff0000000000000, 0xfff0000000000000,
                                       0x7ff8000000000000, 0x7ff0000000000001, 0x43e0218711a00000, 0x3fb999999999999a,
                                       0x3fe0000000000000, 0x400921fb54442d18};
    uint64_t r = draw();
    switch (r & 7) {
    case 0:
    case 1:
        return draw();
    case 2:
        return doubles[r >> 8 & 15];
    case 3:
    case 4:
        return (uint64_t)singles[r >> 8 & 15] << 32 | singles[r >> 16 & 15];
    case 5:
        return number();
    default:
        return (r >> 32 & 0x3f) << 32 | (r >> 8 & 0x3f);
    }
}

static void draw_image(unsigned char *image)
{
    memset(image, 0, XSAVE_BYTES);
    uint64_t r = draw();
    /* Exceptions masked, rounding and denormals as they come; now and then everything. */
    bool unmasked = (r & 7) == 0;
    uint16_t *x87 = (uint16_t *)image;
    x87[0] = (uint16_t)(unmasked ? (r >> 8 & 0xfff) | 0x40 : 0x7f | (r >> 8 & 0xf00));
    x87[1] = (uint16_t)((r >> 20 & 7) << 11 | (r >> 24 & 0x4700) | (r >> 32 & 1 ? r >> 40 & 0x7f : 0));
    image[4] = r >> 33 & 1 ? 0xff : (unsigned char)(r >> 48);
    r = draw();
    *word(image, 24) = (r & 7) == 0 ? r >> 8 & 0xffff : 0x1f80 | (r >> 8 & 0xe07f);
    for (unsigned i = 0; i < 8; i++) {
        uint64_t value = draw();
        uint16_t exponent = (uint16_t)(value & 3 ? 0x3fff - 64 + (value >> 8 & 127) : value >> 8 & 4 ? 0x7fff : 0);
        *quad(image, 32 + 16 * i) = value & 3 ? draw() | 1UL << 63 : element();
        *word(image, 40 + 16 * i) = exponent | (uint32_t)(value >> 2 & 1) << 15;
    }
    for (unsigned i = 160; i < 416; i += 8) {
        *quad(image, i) = element();
    }
    for (unsigned s = 1; s < spans; s++) {
        uint32_t from = span[s].from - XSAVE_IMAGE;
        for (uint32_t i = 0; i < span[s].lines * 64; i += 8) {
            *quad(image, from + i) = element();
        }
    }
    /* Each component is in use, whatever it holds: xsave shows whether it is. */
    *quad(image, 512) = xsave_mask;
}

/* What the memory holds: a block that is repeated. */
static void draw_memory(void)
{
    for (unsigned r = 0; r < N_REGIONS; r++) {
        uint64_t block[13];
        unsigned size = (unsigned)(sizeof block / sizeof *block), at = 0;
        for (unsigned i = 0; i < size; i++) {
            block[i] = draw() & 1 ? element() : number();
        }
        for (unsigned i = 0; i < REGION_BYTES; i += 8) {
            *quad(template[r], i) = block[at];
            at = at + 1 == size ? 0 : at + 1;
        }
        memcpy((void *)region[r], template[r], REGION_BYTES);
    }
}

/* Returns the place in a template that stands for an address, if all its bytes are in one. */
static unsigned char *template_of(uint64_t address, unsigned bytes)
{
    for (unsigned r = 0; r < N_REGIONS; r++) {
        if (address - region[r] <= REGION_BYTES - bytes) {
            return template[r] + (address - region[r]);
        }
    }
    return NULL;
}

static uint64_t value_of(const struct operand *operand, bool with_base)
{
    uint64_t sum = (uint64_t)operand->displacement;
    if (with_base && operand->base != NO_REGISTER) {
        sum += quad(state, IN_GENERAL)[operand->base];
    }
    if (operand->index != NO_REGISTER) {
        sum += quad(state, IN_GENERAL)[operand->index] * operand->scale;
    }
    return sum;
}

static uint64_t base_of_segment(const struct operand *operand)
{
    return operand->segment == 1 ? *quad(state, IN_FS_BASE) : operand->segment == 2 ? *quad(state, IN_GS_BASE) : 0;
}

/* Makes an operand's base such that it leads to memory that is looked at, or to its edge. */
static void aim(const struct operand *operand)
{
    uint64_t r = draw();
    if (operand->base == operand->index || (r & 7) == 0) {
        return;
    }
    unsigned in = operand->narrow ? 0 : operand->base == RSP ? 2 : (r >> 3 & 0xff) % (N_REGIONS + 1);
    uint64_t value = spot(r >> 11, in, operand->width) - value_of(operand, false) - base_of_segment(operand);
    if (operand->base != NO_REGISTER) {
        quad(state, IN_GENERAL)[operand->base] = operand->narrow ? (value & 0xffffffff) | draw() << 32 : value;
    } else if (operand->scale != 0) {
        /* By its index alone, which may have to leave some bytes out. */
        uint64_t before = quad(state, IN_GENERAL)[operand->index] * operand->scale;
        uint64_t index = (uint64_t)((int64_t)(value + before) / operand->scale);
        quad(state, IN_GENERAL)[operand->index] = operand->narrow ? (index & 0xffffffff) | draw() << 32 : index;
    }
}

/* Puts something in memory, until forget_planted; not where it does not fit. */
static void plant(uint64_t address, const void *content, uint32_t bytes)
{
    unsigned char *place = template_of(address, bytes);
    if (place) {
        planted = (unsigned char *)address;
        planted_bytes = bytes;
        memcpy(before_planting, place, bytes);
        memcpy(place, content, bytes);
        memcpy(planted, content, bytes);
    }
}

static void forget_planted(void)
{
    if (planted) {
        memcpy(template_of((uint64_t)planted, planted_bytes), before_planting, planted_bytes);
        memcpy(planted, before_planting, planted_bytes);
        planted = NULL;
    }
}

static uint64_t address_of(const struct operand *operand)
{
    uint64_t offset = value_of(operand, true);
    return (operand->narrow ? offset & 0xffffffff : offset) + base_of_segment(operand);
}

/* Makes an indirect branch lead to an exit, mostly to the second one. */
static void aim_target(const struct pair *pair)
{
    uint64_t r = draw();
    uint64_t target = pair->address + pair->length + (r & 3 ? TAKEN : 0);
    if ((r >> 2 & 15) == 0) {
        target = number();
    }
    if (pair->target == TARGET_REGISTER) {
        quad(state, IN_GENERAL)[pair->target_register] = target;
    } else {
        plant(address_of(&pair->operand[0]), &target, sizeof target);
    }
}

static void draw_state(const struct pair *pair, uint32_t number_of_pair, uint32_t number_of_state,
                       const unsigned char **image)
{
    seed(*quad(unit, UNIT_SEED), (uint64_t)number_of_pair << 32 | number_of_state);
    uint64_t *general = quad(state, IN_GENERAL);
    for (unsigned i = 0; i < 16; i++) {
        general[i] = number();
    }
    uint64_t r = draw();
    general[RSP] = r & 7 ? STACK + REGION_BYTES / 2 : spot(r >> 40, 2, 8);
    /* CF, PF, AF, ZF, SF and OF; now and then DF, AC and ID. */
    uint64_t flags = 0x202 | (r >> 3 & 0x8d5) | ((r >> 16 & 3) == 0 ? r >> 8 & 0x400 : 0)
        | ((r >> 20 & 31) == 0 ? 0x40000 : 0) | ((r >> 25 & 15) == 0 ? 0x200000 : 0);
    *quad(state, IN_FLAGS) = flags;
    *quad(state, IN_FS_BASE) = *quad(state, IN_GS_BASE) = 0;
    if ((r >> 30 & 3) == 0) {
        uint64_t bases = draw();
        *quad(state, IN_FS_BASE) = bases & 1 ? bases >> 1 & 0xfff : spot(bases >> 16, bases >> 13 & 3, 8);
        *quad(state, IN_GS_BASE) = bases & 0x1000 ? bases >> 32 & 0xfff : spot(bases >> 40, bases >> 36 & 3, 8);
    }
    *image = pool[r >> 32 & (IMAGES - 1)];
    if (pair->options & PAIR_REPEATED) {
        general[1] = (draw() & 0xff) % 20;
    }
    for (unsigned i = 0; i < pair->operands; i++) {
        aim(&pair->operand[i]);
    }
    if (pair->target != TARGET_NONE) {
        if (pair->options & PAIR_PUSHES_FIRST && pair->target == TARGET_MEMORY
            && address_of(&pair->operand[0]) - (general[RSP] - 15) < 15) {
            /* A call whose target is where its own return address goes: the one thing that its copy, which reads
             * behind the push, cannot do. */
            general[RSP] -= 32;
        }
        aim_target(pair);
    } else if (pair->options & PAIR_RESTORES && pair->operands > 0) {
        uint32_t last = span[spans - 1].from - XSAVE_IMAGE + span[spans - 1].lines * 64;
        plant(address_of(&pair->operand[0]), pool[draw() & (IMAGES - 1)], last);
    }
}

/* Memory behind an execution: what was changed is noted, and put back. */

static void collect(struct changes *changes, unsigned r, uint32_t from, uint32_t count)
{
    unsigned char *memory = (unsigned char *)region[r] + from * 64, *original = template[r] + from * 64;
    while (count > 0) {
        long found = first_difference(memory, original, count);
        if (found < 0) {
            return;
        }
        from += (uint32_t)found;
        count -= (uint32_t)found;
        memory += found * 64;
        original += found * 64;
        struct line *line = &changes->line[changes->count++];
        line->where = r * (REGION_BYTES / 64) + from;
        memcpy(line->content, memory, 64);
        memcpy(memory, original, 64);
        from++;
        count--;
        memory += 64;
        original += 64;
    }
}

static void collect_all(struct changes *changes)
{
    const uint32_t lines = REGION_BYTES / 64;
    changes->count = 0;
    for (unsigned r = 0; r < N_REGIONS; r++) {
        if (whole) {
            collect(changes, r, 0, lines);
        } else {
            collect(changes, r, 0, 4);
            collect(changes, r, lines / 2 - 4, 8);
            collect(changes, r, lines - 4, 4);
        }
    }
}

static bool same_changes(const struct changes *a, const struct changes *b)
{
    if (a->count != b->count) {
        return false;
    }
    for (uint32_t i = 0; i < a->count; i++) {
        if (a->line[i].where != b->line[i].where) {
            return false;
        }
        for (unsigned j = 0; j < 8; j++) {
            if (a->line[i].content[j] != b->line[i].content[j]) {
                return false;
            }
        }
    }
    return true;
}

/* Results. */

static bool is_signal(unsigned char *out, uint32_t signal)
{
    return *word(out, OUT_OUTCOME) == OUTCOME_SIGNAL && *word(out, OUT_SIGNAL) == signal;
}

/* What has no meaning in a result, or is another's, becomes the same in all. */
static void normalize(const struct pair *pair, unsigned char *out)
{
    for (unsigned i = 0; i < 4; i++) {
        /* A null selector other than 0 is there until the next interrupt (AMD64 APM, volume 3, IRET). */
        uint16_t *selector = (uint16_t *)(out + OUT_SELECTORS) + i;
        *selector = *selector & 0xfffc ? *selector : 0;
    }
    if (*word(out, OUT_OUTCOME) == OUTCOME_EXITED) {
        return;
    }
    if (*word(out, OUT_OUTCOME) == OUTCOME_HANG) {
        memset(out + OUT_SIGNAL, 0, OUT_LENGTH - OUT_SIGNAL);
        memset(out + XSAVE_IMAGE, 0, XSAVE_BYTES);
        return;
    }
    if (*quad(out, OUT_TRAP) != PAGE_FAULT) {
        /* It is that of an earlier fault. */
        *quad(out, OUT_CR2) = 0;
    }
    if (is_signal(out, SIGTRAP) || is_signal(out, SIGSYS)) {
        *quad(out, OUT_TRAP) = *quad(out, OUT_ERROR) = *quad(out, OUT_CR2) = 0;
    }
    /* Behind popf with TF one more instruction is executed. In place that is the jump of the exit, behind the copy
     * the jump back to it. */
    if (is_signal(out, SIGTRAP) && *word(out, OUT_CODE) == TF_TRAP) {
        for (unsigned i = 0; i < 2; i++) {
            uint64_t exit = pair->address + pair->length + i * TAKEN;
            if (*quad(out, OUT_RIP) == exit + 5 + (uint64_t)(int64_t)(int32_t)EXIT_DISPLACEMENT) {
                *quad(out, OUT_RIP) = *quad(out, OUT_ADDRESS) = exit;
            }
        }
    }
    /* A frame has reserved bytes in the x87 registers and behind the vector registers. */
    for (unsigned i = 0; i < 8; i++) {
        *(uint16_t *)(out + XSAVE_IMAGE + 32 + 16 * i + 10) = 0;
        *word(out, XSAVE_IMAGE + 32 + 16 * i + 12) = 0;
    }
    memset(out + XSAVE_IMAGE + 416, 0, 32);
}

/* Returns the address in the original that one in the copy stands for; others as they are. */
static uint64_t translated(const struct pair *pair, uint64_t address)
{
    uint64_t offset = address - pair->copy;
    return offset < pair->copy_length ? pair->address + (pair->fault[offset] & 15) : address;
}

/* What the copy tells of itself becomes what the original would have told. */
static void translate(const struct pair *pair, unsigned char *out)
{
    uint64_t *x87 = quad(out, XSAVE_IMAGE + 8);
    *x87 = translated(pair, *x87);
    if (*word(out, OUT_OUTCOME) != OUTCOME_SIGNAL) {
        return;
    }
    uint64_t *rip = quad(out, OUT_RIP), *general = quad(out, OUT_GENERAL);
    uint64_t offset = *rip - pair->copy;
    if (offset < pair->copy_length) {
        if (*quad(out, OUT_ADDRESS) == *rip) {
            *quad(out, OUT_ADDRESS) = translated(pair, *rip);
        }
        *rip = translated(pair, *rip);
        unsigned pushed = pair->fault[offset] >> 4;
        if (pushed) {
            general[RSP] += pushed * 8;
            /* What it has pushed is below the stack. */
            for (unsigned i = 1; i <= pushed; i++) {
                uint64_t below = general[RSP] - i * 8;
                unsigned char *original = template_of(below, 8);
                if (original) {
                    memcpy((void *)below, original, 8);
                }
            }
        }
    }
    if (is_signal(out, SIGSYS)) {
        /* syscall has put the address behind itself there. */
        general[1] = translated(pair, general[1]);
    }
}

/* A second hang is one: the two ticks of the first may have come together, after others had the CPU. */
static void run(const unsigned char *image, uint64_t entry, unsigned char *out)
{
    execute(state, image, entry, out);
    if (*word(out, OUT_OUTCOME) == OUTCOME_HANG) {
        collect_all(&changes_third);
        execute(state, image, entry, out);
    }
}

static void run_original(const struct pair *pair, const unsigned char *image, unsigned char *out, struct changes *changes)
{
    run(image, pair->address, out);
    normalize(pair, out);
    collect_all(changes);
}

static void hide_original(const struct pair *pair, bool hidden)
{
    if (pair->entry == pair->address) {
        return;
    }
    unsigned char *place = code_at(pair->address);
    for (unsigned i = 0; i < pair->length; i++) {
        place[i] = hidden ? 0xcc : pair->code[i];
    }
    serialize();
}

static void run_copy(const struct pair *pair, const unsigned char *image, unsigned char *out, struct changes *changes)
{
    if (hiding) {
        hide_original(pair, true);
    }
    run(image, pair->entry, out);
    if (hiding) {
        hide_original(pair, false);
    }
    failed_first = *word(out, OUT_OUTCOME) == OUTCOME_SIGNAL && *quad(out, OUT_RIP) == pair->copy;
    translate(pair, out);
    normalize(pair, out);
    collect_all(changes);
}

static bool same(unsigned char *a, unsigned char *b, const struct changes *of_a, const struct changes *of_b)
{
    if (*word(a, OUT_OUTCOME) == OUTCOME_HANG && *word(b, OUT_OUTCOME) == OUTCOME_HANG) {
        /* How far they got is a matter of time. */
        return true;
    }
    if (first_difference(a, b, (OUT_LENGTH + 63) / 64) >= 0) {
        return false;
    }
    for (unsigned i = 0; i < spans; i++) {
        if (first_difference(a + span[i].from, b + span[i].from, span[i].lines) >= 0) {
            return false;
        }
    }
    return same_changes(of_a, of_b);
}

/* An indirect call reads its target, then pushes; the copy pushes first. If both would fault, the copy's push does, and
 * nothing is changed in either case. */
static bool is_other_fault(const struct pair *pair, unsigned char *a, unsigned char *b)
{
    if (!(pair->options & PAIR_PUSHES_FIRST) || !failed_first || *word(a, OUT_OUTCOME) != OUTCOME_SIGNAL
        || *word(b, OUT_OUTCOME) != OUTCOME_SIGNAL || *quad(a, OUT_RIP) != pair->address
        || *quad(b, OUT_RIP) != pair->address) {
        return false;
    }
    *word(b, OUT_SIGNAL) = *word(a, OUT_SIGNAL);
    *word(b, OUT_CODE) = *word(a, OUT_CODE);
    *quad(b, OUT_ADDRESS) = *quad(a, OUT_ADDRESS);
    *quad(b, OUT_TRAP) = *quad(a, OUT_TRAP);
    *quad(b, OUT_ERROR) = *quad(a, OUT_ERROR);
    *quad(b, OUT_CR2) = *quad(a, OUT_CR2);
    return same(a, b, &changes_first, &changes_second);
}

static void write_result(unsigned char *to, unsigned char *out, const struct changes *changes)
{
    memcpy(to, out, XSAVE_IMAGE + XSAVE_BYTES);
    for (unsigned r = 0; r < N_REGIONS; r++) {
        memcpy(to + REGIONS + r * REGION_BYTES, template[r], REGION_BYTES);
    }
    for (uint32_t i = 0; i < changes->count; i++) {
        memcpy(to + REGIONS + changes->line[i].where * 64, changes->line[i].content, 64);
    }
}

static void write_finding(const struct pair *pair, uint32_t number_of_pair, uint32_t number_of_state,
                          const unsigned char *image, struct tally *tally)
{
    uint32_t found = *word(unit, UNIT_FOUND);
    if (found >= MOST_FOUND) {
        tally->dropped++;
        return;
    }
    unsigned char *in = input_of(found);
    memcpy(in, state, IN_CODE);
    *quad(in, IN_ADDRESS) = pair->address;
    *word(in, IN_LENGTH) = pair->length;
    *word(in, IN_OPTIONS) = 0;
    *word(in, IN_PAIR) = number_of_pair;
    *word(in, IN_STATE) = number_of_state;
    memcpy(in + IN_CODE, pair->code, pair->length);
    memcpy(in + XSAVE_IMAGE, image, XSAVE_BYTES);
    for (unsigned r = 0; r < N_REGIONS; r++) {
        memcpy(in + REGIONS + r * REGION_BYTES, template[r], REGION_BYTES);
    }
    write_result(result_of(2 * found), first, &changes_first);
    write_result(result_of(2 * found + 1), second, &changes_second);
    *word(unit, UNIT_FOUND) = found + 1;
}

/* What differs between two executions of the original says nothing of the copy. Returns true if anything does. */
static bool forgive_varying(void)
{
    bool varies = false;
    for (unsigned i = 0; i < OUT_LENGTH; i += 8) {
        if (*quad(first, i) != *quad(third, i)) {
            varies = true;
            *quad(second, i) = *quad(first, i);
        }
    }
    for (unsigned s = 0; s < spans; s++) {
        for (uint32_t i = span[s].from; i < span[s].from + span[s].lines * 64; i += 8) {
            if (*quad(first, i) != *quad(third, i)) {
                varies = true;
                *quad(second, i) = *quad(first, i);
            }
        }
    }
    if (changes_first.count != changes_third.count || changes_first.count != changes_second.count) {
        return varies;
    }
    for (uint32_t i = 0; i < changes_first.count; i++) {
        for (unsigned j = 0; j < 8; j++) {
            if (changes_first.line[i].content[j] != changes_third.line[i].content[j]) {
                varies = true;
                changes_second.line[i].content[j] = changes_first.line[i].content[j];
            }
        }
    }
    return varies;
}

/* The two differ. A context switch may have been in between, or a store have gone where nobody looks: then they are the
 * same if they are executed again and all memory is looked at. Or the instruction does something else each time. */
static void look_closer(const struct pair *pair, uint32_t number_of_pair, uint32_t number_of_state,
                        const unsigned char *image, struct tally *tally)
{
    bool before = whole;
    whole = true;
    collect_all(&changes_third);
    /* It is put back here, and must not be forgotten with that. */
    strayed |= changes_third.count > 0;
    run_original(pair, image, first, &changes_first);
    run_copy(pair, image, second, &changes_second);
    if (same(first, second, &changes_first, &changes_second)) {
        tally->transient++;
        /* btc may have changed a bit there, and the copy have changed it back. */
        strayed = true;
    } else if (is_other_fault(pair, first, second)) {
        tally->other_fault++;
    } else {
        bool varies = false, different = true;
        for (unsigned i = 0; i < REPETITIONS && different && (i == 0 || varies); i++) {
            for (unsigned j = 0; j < CONFIRMATIONS; j++) {
                run_original(pair, image, third, &changes_third);
                varies |= forgive_varying();
            }
            different = !same(first, second, &changes_first, &changes_second);
            if (different && varies) {
                /* A random number may have failed this time. */
                run_copy(pair, image, second, &changes_second);
            }
        }
        if (!different) {
            tally->varying++;
        } else {
            tally->differences++;
            write_finding(pair, number_of_pair, number_of_state, image, tally);
        }
    }
    whole = before;
}

static uint64_t digest(unsigned char *out, const struct changes *changes)
{
    uint64_t hash = 0;
    for (uint32_t i = 0; i < changes->count; i++) {
        hash = (hash ^ changes->line[i].where) * 0x9e3779b97f4a7c15;
        for (unsigned j = 0; j < 8; j++) {
            hash = (hash ^ changes->line[i].content[j]) * 0x9e3779b97f4a7c15;
            hash ^= hash >> 29;
        }
    }
    for (unsigned i = 0; i < OUT_LENGTH; i += 8) {
        hash = (hash ^ *quad(out, i)) * 0x9e3779b97f4a7c15;
        hash ^= hash >> 29;
    }
    for (unsigned s = 0; s < spans; s++) {
        for (uint32_t i = 0; i < span[s].lines * 64; i += 8) {
            uint64_t value = *quad(out, span[s].from + i);
            if (s == 0 && i < 24) {
                /* A context switch may clear what is known of the last x87 instruction. */
                value = i == 0 ? value & 0xffffffffffff : 0;
            }
            hash = (hash ^ value) * 0x9e3779b97f4a7c15;
            hash ^= hash >> 29;
        }
    }
    return hash;
}

static void count(struct tally *tally, unsigned char *out)
{
    static const uint8_t signals[N_SIGNALS] = {SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV, SIGSYS};
    tally->pairs++;
    if (*word(out, OUT_OUTCOME) == OUTCOME_EXITED) {
        tally->completed++;
    } else if (*word(out, OUT_OUTCOME) == OUTCOME_HANG) {
        tally->hangs++;
    } else {
        for (unsigned i = 0; i < N_SIGNALS; i++) {
            tally->signals[i] += *word(out, OUT_SIGNAL) == signals[i];
        }
    }
}

static void run_states(const struct pair *pair, uint32_t number_of_pair, struct tally *tally)
{
    for (uint32_t i = 0; i < pair->states; i++) {
        const unsigned char *image;
        draw_state(pair, number_of_pair, i, &image);
        run_original(pair, image, first, &changes_first);
        count(tally, first);
        bool hung = *word(first, OUT_OUTCOME) == OUTCOME_HANG;
        if (i < DIGESTED_STATES && !(pair->options & PAIR_VARIES)) {
            tally->digest += digest(first, &changes_first) * (2 * (uint64_t)number_of_pair + 1);
        }
        hiding = i < HIDDEN_STATES;
        run_copy(pair, image, second, &changes_second);
        hung |= *word(second, OUT_OUTCOME) == OUTCOME_HANG;
        if (!same(first, second, &changes_first, &changes_second)) {
            look_closer(pair, number_of_pair, i, image, tally);
        }
        forget_planted();
        if (hung || (tally->signals[0] == i + 1 && i + 1 == ENOUGH_INVALID)) {
            return;
        }
    }
}

static void run_pair(const struct pair *pair, uint32_t number_of_pair)
{
    struct tally *tally = (struct tally *)(unit + UNIT_TALLIES) + number_of_pair;
    uint32_t found = *word(unit, UNIT_FOUND);
    strayed = false;
    run_states(pair, number_of_pair, tally);
    whole = true;
    collect_all(&changes_third);
    if (changes_third.count > 0 || strayed) {
        /* It has changed memory that nobody has looked at. */
        memset(tally, 0, sizeof *tally);
        *word(unit, UNIT_FOUND) = found;
        run_states(pair, number_of_pair, tally);
    }
    whole = false;
}

static void set_canaries(uint64_t of)
{
    for (unsigned i = 0; i < CANARIES; i++) {
        canary_before[i] = canary_behind[i] = mixed(of + i);
    }
}

static bool canaries_live(uint64_t of)
{
    for (unsigned i = 0; i < CANARIES; i++) {
        if (canary_before[i] != mixed(of + i) || canary_behind[i] != mixed(of + i)) {
            return false;
        }
    }
    return true;
}

static void check_pair(const struct pair *pair)
{
    bool right = pair->length <= sizeof pair->code && pair->copy_length <= COPY_LIMIT && pair->operands <= 2
        && pair->target_register < 16 && (pair->target != TARGET_MEMORY || pair->operands > 0);
    for (unsigned i = 0; right && i < pair->operands; i++) {
        right = (pair->operand[i].base < 16 || pair->operand[i].base == NO_REGISTER)
            && (pair->operand[i].index < 16 || pair->operand[i].index == NO_REGISTER) && pair->operand[i].scale <= 8;
    }
    if (!right) {
        die("no pair");
    }
}

static void place(const struct pair *pairs, uint32_t count)
{
    open_code();
    fill_code();
    for (uint32_t i = 0; i < count; i++) {
        const struct pair *pair = &pairs[i];
        check_pair(pair);
        memcpy(code_at(pair->address), pair->code, pair->length);
        memcpy(code_at(pair->copy), pair->copy_code, pair->copy_length);
        place_exit(pair->address + pair->length);
        place_exit(pair->address + pair->length + TAKEN);
    }
    close_code();
}

void run_unit(unsigned char *of)
{
    unit = of;
    const struct pair *pairs = (const struct pair *)(unit + UNIT_PAIRS);
    uint32_t count = *word(unit, UNIT_COUNT);
    if (count > BATCH) {
        die("too many pairs");
    }
    set_canaries(*quad(unit, UNIT_SEED));
    seed(*quad(unit, UNIT_SEED), UINT64_MAX);
    for (unsigned i = 0; i < IMAGES; i++) {
        draw_image(pool[i]);
    }
    draw_memory();
    place(pairs, count);
    start_clock(TICK_MICROSECONDS, HANG_TICKS);
    for (uint32_t i = *word(unit, UNIT_CURRENT); i < count; i++) {
        *word(unit, UNIT_CURRENT) = i;
        /* Code may write what is shared, but not this, which is between canaries. */
        memcpy(&current, &pairs[i], sizeof current);
        check_pair(&current);
        run_pair(&current, i);
    }
    *word(unit, UNIT_CURRENT) = count;
    stop_clock();
    *word(unit, UNIT_BROKEN) = !canaries_live(*quad(unit, UNIT_SEED));
}

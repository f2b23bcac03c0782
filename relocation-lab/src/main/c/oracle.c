/* oracle CPU: executes pieces of code, each from a given machine state, and says what they did.
 *
 *   <- ready PID
 *   <- memory FD            shared memory is at /proc/PID/fd/FD, laid out as oracle.h says
 *   -> load                 put the code of the inputs in its place
 *   <- done
 *   -> run                  execute it, one input after the other, and fill in the results
 *   <- done
 *   -> measure              find out the CPU's length of the first instruction of each input
 *   <- done
 *   -> pairs                execute the pairs of the unit: see pairs.c
 *   <- done
 *   -> exit
 *
 * Nothing here may depend on what a piece of code can change. So there is no C library, which
 * would want its thread pointer, no use of vector registers, and a stack of its own for
 * signals. A system call made by a piece of code raises SIGSYS (Syscall User Dispatch, since
 * Linux 5.11), so that no random register makes the kernel do anything.
 *
 * CPU is the number of the one that all this runs on, counted among those allowed: what names
 * the CPU (rdpid, cpuid) is then the same in another process.
 *
 * The program is independent of its position, so that it is nowhere where an address of 32 bits, or
 * any that a state has, leads. With a second argument all of it, its stacks and the shared memory
 * are at random addresses besides, which is for many executions; without it they are where they
 * are each time, for two processes whose executions are compared. */
#define _GNU_SOURCE
#include "driver.h"

#include <asm/prctl.h>
#include <cpuid.h>
#include <elf.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <linux/prctl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>

#define PAGE 4096
#define MAGIC 0x31656c6361726fUL /* "oracle1" */
#define HANG_TICKS 20
#define TICK_MICROSECONDS 100000
#define PAGE_FAULT 14
#define FETCH 0x10

struct head {
    uint64_t magic;
    uint32_t count; /* of inputs, by the other side */
    uint32_t current; /* the input being executed */
    uint64_t xsave_mask;
    uint32_t component[8][2]; /* offset and size in an XSAVE image, by number */
    uint64_t layout[16];
};

extern unsigned char *result;
extern const char text_end[], __executable_start[];
void enter(const unsigned char *input, const unsigned char *image, uint64_t entry);
void leave(void) __attribute__((noreturn));
void come_out(void);
void restorer(void);
void signal_entry(int, siginfo_t *, void *);

unsigned char *shared;
uint64_t executions;
struct span span[4];
unsigned spans;

static struct head *head;
static unsigned char alternate_stack[1 << 16] __attribute__((aligned(64)));
static volatile char dispatch_selector;
static volatile bool running;
static bool has_fsgsbase;
static bool selectors_used;
static unsigned ticks;
static uint64_t ticks_of;
static unsigned tick_limit;

/* gcc makes calls of these two. */
void *memcpy(void *to, const void *from, size_t count)
{
    void *start = to;
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
    return start;
}

void *memset(void *to, int value, size_t count)
{
    void *start = to;
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(count) : "a"(value) : "memory");
    return start;
}

static long call(long number, long a, long b, long c, long d, long e, long f)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "+a"(number)
                     : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return number;
}

static long call3(long number, long a, long b, long c)
{
    return call(number, a, b, c, 0, 0, 0);
}

static void say(int fd, const char *text)
{
    size_t length = 0;
    while (text[length]) {
        length++;
    }
    call3(SYS_write, fd, (long)text, (long)length);
}

static void say_number(const char *text, unsigned long number)
{
    char line[64], digits[24];
    size_t length = 0, n = 0;
    while (text[length]) {
        line[length] = text[length];
        length++;
    }
    do {
        digits[n++] = (char)('0' + number % 10);
    } while (number /= 10);
    while (n > 0) {
        line[length++] = digits[--n];
    }
    line[length++] = '\n';
    line[length] = 0;
    say(1, line);
}

void die(const char *why)
{
    say(2, "oracle: ");
    say(2, why);
    say(2, "\n");
    for (;;) {
        call3(SYS_exit_group, 70, 0, 0);
    }
}

static void check(long returned, const char *what)
{
    if (returned < 0 && returned > -4096) {
        die(what);
    }
}

static void map(uint64_t address, size_t bytes, int protection)
{
    check(call(SYS_mmap, (long)address, (long)bytes, protection,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0), "mmap");
}

static void protect(uint64_t address, size_t bytes, int protection)
{
    check(call3(SYS_mprotect, (long)address, (long)bytes, protection), "mprotect");
}

const uint64_t region[N_REGIONS] = {LOW_DATA, NEAR_DATA, STACK, FAR_DATA};

/* Segment registers, which no context of a signal shows. */

static void set_bases(uint64_t fs, uint64_t gs)
{
    if (selectors_used) {
        __asm__ volatile("mov %0, %%ds; mov %0, %%es; mov %0, %%fs; mov %0, %%gs" : : "r"(0));
    }
    if (has_fsgsbase) {
        __asm__ volatile("wrfsbase %0; wrgsbase %1" : : "r"(fs), "r"(gs));
    } else {
        call3(SYS_arch_prctl, ARCH_SET_FS, (long)fs, 0);
        call3(SYS_arch_prctl, ARCH_SET_GS, (long)gs, 0);
    }
}

static void save_segments(unsigned char *out)
{
    uint16_t *selectors = (uint16_t *)(out + OUT_SELECTORS);
    __asm__ volatile("mov %%ds, %0" : "=r"(selectors[0]));
    __asm__ volatile("mov %%es, %0" : "=r"(selectors[1]));
    __asm__ volatile("mov %%fs, %0" : "=r"(selectors[2]));
    __asm__ volatile("mov %%gs, %0" : "=r"(selectors[3]));
    if (has_fsgsbase) {
        __asm__ volatile("rdfsbase %0" : "=r"(*quad(out, OUT_FS_BASE)));
        __asm__ volatile("rdgsbase %0" : "=r"(*quad(out, OUT_GS_BASE)));
    } else {
        call3(SYS_arch_prctl, ARCH_GET_FS, (long)(out + OUT_FS_BASE), 0);
        call3(SYS_arch_prctl, ARCH_GET_GS, (long)(out + OUT_GS_BASE), 0);
    }
    selectors_used = *quad(out, OUT_SELECTORS) != 0;
}

/* By number in the order of encoding, which is that of the results. */
static const int general[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

/* Called by signal_entry. Never returns to the code, except from a tick of the clock. */
__attribute__((used)) void on_signal(int number, siginfo_t *info, void *context)
{
    if (number == SIGPROF) {
        if (!running) {
            return;
        }
        if (ticks_of != executions) {
            ticks_of = executions;
            ticks = 0;
        }
        if (++ticks < tick_limit) {
            return;
        }
    }
    if (!running) {
        die("a signal outside the code");
    }
    running = false;
    ucontext_t *user = context;
    greg_t *registers = user->uc_mcontext.gregs;
    *word(result, OUT_OUTCOME) = number == SIGPROF ? OUTCOME_HANG : OUTCOME_SIGNAL;
    *word(result, OUT_SIGNAL) = (uint32_t)number;
    *word(result, OUT_CODE) = (uint32_t)info->si_code;
    *quad(result, OUT_ADDRESS) = (uint64_t)info->si_addr;
    for (int i = 0; i < 16; i++) {
        quad(result, OUT_GENERAL)[i] = (uint64_t)registers[general[i]];
    }
    *quad(result, OUT_RIP) = (uint64_t)registers[REG_RIP];
    *quad(result, OUT_FLAGS) = (uint64_t)registers[REG_EFL];
    *quad(result, OUT_TRAP) = (uint64_t)registers[REG_TRAPNO];
    *quad(result, OUT_ERROR) = (uint64_t)registers[REG_ERR];
    *quad(result, OUT_CR2) = (uint64_t)registers[REG_CR2];
    memcpy(result + XSAVE_IMAGE, user->uc_mcontext.fpregs, XSAVE_BYTES);
    leave();
}

void execute(unsigned char *in, const unsigned char *image, uint64_t entry, unsigned char *out)
{
    result = out;
    for (size_t i = 0; i <= OUT_LENGTH; i += 8) {
        *quad(out, i) = 0;
    }
    set_bases(*quad(in, IN_FS_BASE), *quad(in, IN_GS_BASE));
    dispatch_selector = *word(in, IN_OPTIONS) & OPTION_SYSTEM_CALLS ? SYSCALL_DISPATCH_FILTER_ALLOW
                                                                     : SYSCALL_DISPATCH_FILTER_BLOCK;
    executions++;
    running = true;
    enter(in, image, entry);
    running = false;
    dispatch_selector = SYSCALL_DISPATCH_FILTER_ALLOW;
    save_segments(out);
    if (*word(out, OUT_OUTCOME) == OUTCOME_NONE) {
        *word(out, OUT_OUTCOME) = OUTCOME_EXITED;
        *quad(out, OUT_RIP) = *(uint64_t *)GATE_EXIT;
    }
}

static void clock(long microseconds)
{
    struct itimerval interval = {{0, microseconds}, {0, microseconds}};
    check(call3(SYS_setitimer, ITIMER_PROF, (long)&interval, 0), "setitimer");
}

void start_clock(long microseconds, unsigned limit)
{
    ticks_of = UINT64_MAX;
    tick_limit = limit;
    clock(microseconds);
}

void stop_clock(void)
{
    clock(0);
}

static void run_input(unsigned char *in, unsigned char *out)
{
    uint64_t entry = *quad(in, IN_ENTRY);
    memset(out + XSAVE_IMAGE, 0, XSAVE_BYTES);
    execute(in, in + XSAVE_IMAGE, entry ? entry : *quad(in, IN_ADDRESS), out);
}

static void run(void)
{
    start_clock(TICK_MICROSECONDS, HANG_TICKS);
    for (uint32_t i = head->current; i < head->count; i++) {
        unsigned char *in = input_of(i), *out = result_of(i);
        head->current = i;
        for (int r = 0; r < N_REGIONS; r++) {
            if (*word(in, IN_OPTIONS) & OPTION_REGIONS << r) {
                memcpy((void *)region[r], in + REGIONS + r * REGION_BYTES, REGION_BYTES);
            } else {
                memset((void *)region[r], 0, REGION_BYTES);
            }
        }
        run_input(in, out);
        for (int r = 0; r < N_REGIONS; r++) {
            memcpy(out + REGIONS + r * REGION_BYTES, (void *)region[r], REGION_BYTES);
        }
    }
    head->current = head->count;
    stop_clock();
}

/* The instruction against the end of a page, a byte longer until the fault of the fetch behind it is gone. */
static void measure(unsigned char *in, unsigned char *out)
{
    const uint64_t end = LENGTH_PAGE + PAGE;
    for (uint32_t length = 1; length <= *word(in, IN_LENGTH); length++) {
        *quad(in, IN_ADDRESS) = end - length;
        memcpy((void *)(end - length), in + IN_CODE, length);
        run_input(in, out);
        bool fetching = *word(out, OUT_OUTCOME) == OUTCOME_SIGNAL && *word(out, OUT_SIGNAL) == SIGSEGV
            && *quad(out, OUT_TRAP) == PAGE_FAULT && *quad(out, OUT_ERROR) & FETCH
            && *quad(out, OUT_CR2) == end && *quad(out, OUT_RIP) == end - length;
        if (!fetching) {
            *word(out, OUT_LENGTH) = length;
            return;
        }
    }
}

static void measure_all(void)
{
    start_clock(TICK_MICROSECONDS, 2);
    for (uint32_t i = head->current; i < head->count; i++) {
        head->current = i;
        measure(input_of(i), result_of(i));
    }
    head->current = head->count;
    stop_clock();
}

static const struct {
    uint64_t address;
    size_t bytes;
} code_area[] = {{LOW_CODE, CODE_BYTES},
                 {HIGH_CODE, CODE_BYTES},
                 {LOW_CODE + COPY_DISTANCE, CODE_BYTES},
                 {HIGH_CODE + COPY_DISTANCE, CODE_BYTES},
                 {FAR_COPIES, FAR_COPIES_BYTES},
                 {LOW_EXITS, EXITS_BYTES},
                 {HIGH_EXITS, EXITS_BYTES}};
#define CODE_AREAS (sizeof code_area / sizeof *code_area)

/* Where the code areas are written, one behind the other, if that is elsewhere: what is executed is never writable there,
 * and needs no system call to be changed. A tracer cannot write such memory, which is shared. */
static unsigned char *code_alias;

unsigned char *code_at(uint64_t address)
{
    if (!code_alias) {
        return (unsigned char *)address;
    }
    unsigned char *alias = code_alias;
    for (size_t i = 0; i < CODE_AREAS; i++) {
        if (address - code_area[i].address < code_area[i].bytes) {
            return alias + (address - code_area[i].address);
        }
        alias += code_area[i].bytes;
    }
    die("no place for code");
}

static void protect_code(int protection)
{
    for (size_t i = 0; i < CODE_AREAS && !code_alias; i++) {
        protect(code_area[i].address, code_area[i].bytes, protection);
    }
}

static void map_code(bool shared_code)
{
    if (!shared_code) {
        for (size_t i = 0; i < CODE_AREAS; i++) {
            map(code_area[i].address, code_area[i].bytes, PROT_READ | PROT_EXEC);
        }
        return;
    }
    size_t bytes = 0;
    for (size_t i = 0; i < CODE_AREAS; i++) {
        bytes += code_area[i].bytes;
    }
    int fd = (int)call3(SYS_memfd_create, (long)"xolotl-oracle-code", MFD_CLOEXEC, 0);
    check(fd, "memfd_create");
    check(call3(SYS_ftruncate, fd, (long)bytes, 0), "ftruncate");
    long alias = call(SYS_mmap, 0, (long)bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    check(alias, "mmap");
    size_t offset = 0;
    for (size_t i = 0; i < CODE_AREAS; i++) {
        check(call(SYS_mmap, (long)code_area[i].address, (long)code_area[i].bytes, PROT_READ | PROT_EXEC,
                   MAP_SHARED | MAP_FIXED, fd, (long)offset), "mmap");
        offset += code_area[i].bytes;
    }
    check(call3(SYS_close, fd, 0, 0), "close");
    code_alias = (unsigned char *)alias;
}

void open_code(void)
{
    protect_code(PROT_READ | PROT_WRITE);
}

void close_code(void)
{
    protect_code(PROT_READ | PROT_EXEC);
}

/* Everything around a piece of code is int3. */
void fill_code(void)
{
    for (size_t i = 0; i < CODE_AREAS; i++) {
        memset(code_at(code_area[i].address), 0xcc, code_area[i].bytes);
    }
}

void place_exit(uint64_t address)
{
    unsigned char *exit = code_at(address);
    *exit = 0xe9;
    *(uint32_t *)(exit + 1) = EXIT_DISPLACEMENT;
    unsigned char *stub = code_at(address + 5 + (uint64_t)(int32_t)EXIT_DISPLACEMENT);
    /* No memory operand that is not aligned: the code may have its alignment checked. */
    *(uint16_t *)stub = 0xa348; /* mov %rax, GATE_RAX */
    *(uint64_t *)(stub + 2) = GATE_RAX;
    *(uint16_t *)(stub + 10) = 0xb848; /* mov $address, %rax */
    *(uint64_t *)(stub + 12) = address;
    *(uint16_t *)(stub + 20) = 0xa348; /* mov %rax, GATE_EXIT */
    *(uint64_t *)(stub + 22) = GATE_EXIT;
    *(uint16_t *)(stub + 30) = 0xa148; /* mov GATE_COME_OUT, %rax */
    *(uint64_t *)(stub + 32) = GATE_COME_OUT;
    *(uint16_t *)(stub + 40) = 0xe0ff; /* jmp *%rax */
}

static void load(void)
{
    open_code();
    fill_code();
    for (uint32_t i = head->current; i < head->count; i++) {
        unsigned char *in = input_of(i);
        uint64_t address = *quad(in, IN_ADDRESS);
        if (!*quad(in, IN_ENTRY)) {
            memcpy(code_at(address), in + IN_CODE, *word(in, IN_LENGTH));
        }
        memcpy(code_at(*quad(in, IN_COPY)), in + IN_COPY_CODE, *word(in, IN_COPY_LENGTH));
        place_exit(address + *word(in, IN_LENGTH));
    }
    close_code();
}

/* What is compared of two XSAVE images: the legacy registers, and the components behind the header. */
static void add_span(uint32_t from, uint32_t bytes)
{
    span[spans].from = XSAVE_IMAGE + from;
    span[spans++].lines = bytes / 64;
}

static void describe_cpu(void)
{
    unsigned eax, ebx, ecx, edx;
    __cpuid(1, eax, ebx, ecx, edx);
    if (!(ecx & bit_OSXSAVE)) {
        die("this CPU has no XSAVE");
    }
    uint32_t low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    /* x87, SSE, AVX, and the three of AVX-512. */
    xsave_mask = low & 0xe7;
    head->xsave_mask = xsave_mask;
    for (unsigned i = 2; i < 8; i++) {
        if (xsave_mask >> i & 1) {
            __cpuid_count(0xd, i, eax, ebx, ecx, edx);
            if (ebx + eax > XSAVE_BYTES) {
                die("the XSAVE image is larger than expected");
            }
            head->component[i][0] = ebx;
            head->component[i][1] = eax;
        }
    }
    add_span(0, 448);
    if (xsave_mask & 4) {
        add_span(head->component[2][0], head->component[2][1]);
    }
    if (xsave_mask & 0x20) {
        add_span(head->component[5][0], head->component[5][1]);
        /* The upper halves of 0 to 15, and 16 to 31 behind them. */
        add_span(head->component[6][0], head->component[6][1] + head->component[7][1]);
        if (head->component[7][0] != head->component[6][0] + head->component[6][1]) {
            die("the parts of an XSAVE image are elsewhere than expected");
        }
    }
}

/* Returns the descriptor of the shared memory. */
static int set_up_memory(bool randomized)
{
    int fd = (int)call3(SYS_memfd_create, (long)"xolotl-oracle", MFD_CLOEXEC, 0);
    check(fd, "memfd_create");
    const size_t bytes = HEAD_BYTES + 2UL * BATCH * RECORD_BYTES + UNIT_BYTES;
    check(call3(SYS_ftruncate, fd, (long)bytes, 0), "ftruncate");
    long mapped = call(SYS_mmap, 0, (long)bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    check(mapped, "mmap");
    shared = (unsigned char *)mapped;
    head = (struct head *)shared;
    map(RESERVED, RESERVED_BYTES, PROT_NONE);
    map(LOW_RESERVED, LOW_RESERVED_BYTES, PROT_NONE);
    map_code(randomized);
    map(GATE, PAGE, PROT_READ | PROT_WRITE);
    *(uint64_t *)GATE_COME_OUT = (uint64_t)come_out;
    for (int r = 0; r < N_REGIONS; r++) {
        map(region[r], REGION_BYTES, PROT_READ | PROT_WRITE);
    }
    map(CONSTANT, REGION_BYTES, PROT_READ | PROT_WRITE);
    for (unsigned i = 0; i < REGION_BYTES; i++) {
        ((unsigned char *)CONSTANT)[i] = (unsigned char)(i * 7 + (i >> 8));
    }
    protect(CONSTANT, REGION_BYTES, PROT_READ);
    if (!randomized) {
        map(LENGTH_PAGE, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
        map(LENGTH_PAGE + PAGE, PAGE, PROT_NONE);
    }
    head->magic = MAGIC;
    const uint64_t layout[16] = {LOW_CODE, HIGH_CODE, CODE_BYTES, LOW_DATA, NEAR_DATA, STACK, FAR_DATA, CONSTANT,
                                 REGION_BYTES, BATCH, RECORD_BYTES, CODE_LIMIT, FAR_COPIES, COPY_DISTANCE, COPY_LIMIT,
                                 UNIT_BYTES};
    memcpy(head->layout, layout, sizeof layout);
    return fd;
}

struct kernel_sigaction {
    void (*handler)(int, siginfo_t *, void *);
    unsigned long flags;
    void (*restorer)(void);
    unsigned long mask;
};

static void set_up_signals(void)
{
    stack_t stack = {.ss_sp = alternate_stack, .ss_size = sizeof alternate_stack};
    check(call3(SYS_sigaltstack, (long)&stack, 0, 0), "sigaltstack");
    /* SA_NODEFER: the handler leaves without sigreturn, which would unblock the signal. */
    struct kernel_sigaction action = {signal_entry,
                                      SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTART | 0x04000000, restorer, 0};
    const int signals[] = {SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV, SIGSYS, SIGPROF};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        check(call(SYS_rt_sigaction, signals[i], (long)&action, 0, 8, 0, 0), "rt_sigaction");
    }
    /* The runner's own calls, of sigreturn above all, are let through by their address. */
    check(call(SYS_prctl, PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, (long)__executable_start,
               text_end - __executable_start, (long)&dispatch_selector, 0),
          "Linux 5.11 or later is needed, for Syscall User Dispatch");
}

static void choose_cpu(unsigned long number)
{
    static uint64_t allowed[128];
    long bytes = call3(SYS_sched_getaffinity, 0, sizeof allowed, (long)allowed);
    check(bytes, "sched_getaffinity");
    unsigned long count = 0;
    for (long i = 0; i < bytes * 8; i++) {
        count += allowed[i / 64] >> i % 64 & 1;
    }
    number %= count;
    for (long i = 0; i < bytes * 8; i++) {
        if (allowed[i / 64] >> i % 64 & 1 && number-- != 0) {
            allowed[i / 64] &= ~(1UL << i % 64);
        }
    }
    check(call3(SYS_sched_setaffinity, 0, bytes, (long)allowed), "sched_setaffinity");
}

/* The next line without its line feed; the end of the input is "exit". */
static const char *next_command(void)
{
    static char line[64];
    size_t length = 0;
    for (;;) {
        long got = call3(SYS_read, 0, (long)(line + length), 1);
        if (got <= 0 || length == sizeof line - 1) {
            return "exit";
        }
        if (line[length] == '\n') {
            line[length] = 0;
            return line;
        }
        length++;
    }
}

__attribute__((used, noreturn)) void oracle_main(long *stack)
{
    char **arguments = (char **)(stack + 1);
    char **environment = arguments + stack[0] + 1;
    bool randomized = stack[0] > 2;
    long persona = call3(SYS_personality, 0xffffffff, 0, 0);
    /* Where it is forbidden the addresses of stack and vDSO differ, which no code here is given. */
    long wanted = randomized ? persona & ~(long)ADDR_NO_RANDOMIZE : persona | ADDR_NO_RANDOMIZE;
    if (wanted != persona && call3(SYS_personality, wanted, 0, 0) >= 0) {
        call3(SYS_execve, (long)"/proc/self/exe", (long)arguments, (long)environment);
    }
    long *auxiliary = (long *)environment;
    while (*auxiliary) {
        auxiliary++;
    }
    for (auxiliary++; *auxiliary != AT_NULL; auxiliary += 2) {
        if (auxiliary[0] == AT_HWCAP2) {
            has_fsgsbase = auxiliary[1] & 2;
        }
    }
    unsigned long cpu = 0;
    for (const char *digit = stack[0] > 1 ? arguments[1] : ""; *digit; digit++) {
        cpu = cpu * 10 + (unsigned long)(*digit - '0');
    }
    choose_cpu(cpu);
    int memory = set_up_memory(randomized);
    describe_cpu();
    set_up_signals();
    /* Nobody knows which selectors it was started with. */
    selectors_used = true;
    say_number("ready ", (unsigned long)call3(SYS_getpid, 0, 0, 0));
    say_number("memory ", (unsigned long)memory);
    for (;;) {
        switch (*next_command()) {
        case 'l':
            load();
            break;
        case 'r':
            run();
            break;
        case 'm':
            measure_all();
            break;
        case 'p':
            run_unit(shared + HEAD_BYTES + 2UL * BATCH * RECORD_BYTES);
            break;
        default:
            for (;;) {
                call3(SYS_exit_group, 0, 0, 0);
            }
        }
        say(1, "done\n");
    }
}

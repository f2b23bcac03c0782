/* i386 MODE ARGUMENTS...: 32-bit code in a freestanding program, which needs no 32-bit C library.
 *
 *   i386 check                         ends at once: the kernel runs 32-bit programs
 *   i386 calls N_THREADS N_CALLS       as `calls`
 *   i386 forever N_THREADS             as `forever`
 *   i386 signals HZ COUNT              as `signals`, until COUNT signals of the timer have been handled; the two handlers
 *                                      return by sigreturn and by rt_sigreturn
 *   i386 insns TIMES                   as `insns`, all kinds
 *   i386 fork | vfork | clone_vm | exec   as `forker`
 *   i386 sysblock                      as `sysblock`
 *   i386 pairs N_CALLS                 calls N_CALLS times make_pair(), which pops an argument: -> go, <- ok | BAD
 *   i386 mixed N_CALLS                 calls N_CALLS times 64-bit code: -> go, <- ok | BAD
 *
 * The protocol is that of the other programs; work() has 32 bits. */
#include "i386.h"

#include <stdarg.h>
#include <stdint.h>

enum {
    SYS_exit = 1, SYS_fork = 2, SYS_read = 3, SYS_write = 4, SYS_open = 5, SYS_waitpid = 7, SYS_execve = 11, SYS_getpid = 20,
    SYS_pipe = 42, SYS_setitimer = 104, SYS_sched_yield = 158, SYS_nanosleep = 162, SYS_poll = 168,
    SYS_rt_sigaction = 174, SYS_rt_sigprocmask = 175, SYS_rt_sigqueueinfo = 178, SYS_sigaltstack = 186, SYS_gettid = 224,
    SYS_futex = 240, SYS_set_thread_area = 243, SYS_exit_group = 252, SYS_epoll_create = 254, SYS_epoll_ctl = 255,
    SYS_epoll_wait = 256, SYS_mprotect = 125, SYS_clock_gettime = 265, SYS_close = 6, SYS_tgkill = 270
};

#define CALL(number, ...) CALL_(number, __VA_ARGS__, 0, 0, 0, 0, 0)
#define CALL_(number, a, b, c, d, e, ...) system_call(number, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e))

extern const unsigned work_table[2];

void *memset(void *to, int value, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ((char *)to)[i] = (char)value;
    }
    return to;
}

void *memcpy(void *to, const void *from, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ((char *)to)[i] = ((const char *)from)[i];
    }
    return to;
}

static bool equal(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++, b++;
    }
    return *a == *b;
}

static unsigned expected_work(unsigned x)
{
    unsigned y = work_table[0] + x;
    if (!(x & 1)) {
        y += work_table[1];
    }
    return (y << 7 | y >> 25) ^ x;
}

/* ---- input and output: %s, %u and %x only */

static void say(const char *format, ...)
{
    char line[256];
    size_t n = 0;
    va_list arguments;
    va_start(arguments, format);
    for (; *format; format++) {
        if (*format != '%') {
            line[n++] = *format;
            continue;
        }
        if (*++format == 's') {
            for (const char *s = va_arg(arguments, const char *); *s; s++) {
                line[n++] = *s;
            }
            continue;
        }
        unsigned base = *format == 'x' ? 16 : 10, value = va_arg(arguments, unsigned);
        char digits[12];
        size_t d = 0;
        do {
            digits[d++] = "0123456789abcdef"[value % base];
        } while (value /= base);
        while (d > 0) {
            line[n++] = digits[--d];
        }
    }
    va_end(arguments);
    line[n++] = '\n';
    CALL(SYS_write, 1, line, n);
}

static void leave(int code) __attribute__((noreturn));
static void leave(int code)
{
    for (;;) {
        CALL(SYS_exit_group, code);
    }
}

static void die(const char *what) __attribute__((noreturn));
static void die(const char *what)
{
    say("%s failed", what);
    leave(1);
}

static void say_ready(void)
{
    say("ready %u", (unsigned)CALL(SYS_getpid, 0));
}

static void say_verdict(bool ok)
{
    say(ok ? "ok" : "BAD");
}

static const char *next_command(void)
{
    static char line[64];
    for (size_t n = 0; n < sizeof line; n++) {
        long got;
        do {
            got = CALL(SYS_read, 0, line + n, 1);
        } while (got == -4);
        if (got != 1) {
            return NULL;
        }
        if (line[n] == '\n') {
            line[n] = 0;
            return equal(line, "exit") ? NULL : line;
        }
    }
    return NULL;
}

static void await_command(const char *command)
{
    const char *line;
    do {
        line = next_command();
        if (!line) {
            leave(0);
        }
    } while (!equal(line, command));
}

static unsigned number(const char *text)
{
    unsigned value = 0;
    for (; *text; text++) {
        if (*text < '0' || *text > '9') {
            die("a number");
        }
        value = value * 10 + (unsigned)(*text - '0');
    }
    return value;
}

/* ---- threads, in rounds */

#define MOST_THREADS 64

static char stacks[MOST_THREADS][16 * 1024];
static unsigned n_threads, n_calls, round_number, n_done;
static unsigned sums[MOST_THREADS];
static void (*member)(unsigned);
static bool stopping;

static void futex_wait(unsigned *word, unsigned value)
{
    CALL(SYS_futex, word, 128, value);
}

static void futex_wake(unsigned *word)
{
    CALL(SYS_futex, word, 129, 0x7fffffff);
}

static void member_thread(void *argument)
{
    unsigned seen = 0;
    for (;;) {
        while (__atomic_load_n(&round_number, __ATOMIC_ACQUIRE) == seen) {
            futex_wait(&round_number, seen);
        }
        seen++;
        member((unsigned)argument);
        if (__atomic_add_fetch(&n_done, 1, __ATOMIC_ACQ_REL) == n_threads) {
            futex_wake(&n_done);
        }
    }
}

static void team_create(unsigned size, void (*function)(unsigned))
{
    if (size > MOST_THREADS) {
        die("as many threads");
    }
    n_threads = size;
    member = function;
    for (unsigned i = 0; i < size; i++) {
        if (start_thread(stacks[i] + sizeof stacks[i], member_thread, (void *)i) < 0) {
            die("clone");
        }
    }
}

static void team_begin_round(void)
{
    n_done = 0;
    __atomic_add_fetch(&round_number, 1, __ATOMIC_ACQ_REL);
    futex_wake(&round_number);
}

static void team_end_round(void)
{
    unsigned done;
    while ((done = __atomic_load_n(&n_done, __ATOMIC_ACQUIRE)) != n_threads) {
        futex_wait(&n_done, done);
    }
}

static unsigned argument(unsigned thread, unsigned call)
{
    return thread << 24 | call;
}

static void call_work(unsigned thread)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < n_calls; i++) {
        sum += work(argument(thread, i));
    }
    sums[thread] = sum;
}

static void calls(void)
{
    team_create(n_threads, call_work);
    unsigned expected = 0;
    for (unsigned t = 0; t < n_threads; t++) {
        for (unsigned i = 0; i < n_calls; i++) {
            expected += expected_work(argument(t, i));
        }
    }
    say_ready();
    for (;;) {
        await_command("go");
        team_begin_round();
        team_end_round();
        unsigned sum = 0;
        for (unsigned t = 0; t < n_threads; t++) {
            sum += sums[t];
        }
        say("checksum %x", sum);
        say("calls %u", n_threads * n_calls);
        say_verdict(sum == expected);
    }
}

static unsigned counts[MOST_THREADS], n_wrong;

static void work_on(unsigned thread)
{
    while (!__atomic_load_n(&stopping, __ATOMIC_RELAXED)) {
        unsigned x = argument(thread, counts[thread]++);
        if (work(x) != expected_work(x)) {
            __atomic_add_fetch(&n_wrong, 1, __ATOMIC_RELAXED);
        }
    }
}

static void forever(void)
{
    team_create(n_threads, work_on);
    say_ready();
    await_command("go");
    team_begin_round();
    const char *command;
    while ((command = next_command()) && !equal(command, "stop")) {
        if (equal(command, "count")) {
            unsigned sum = 0;
            for (unsigned t = 0; t < n_threads; t++) {
                sum += counts[t];
            }
            say("count %u", sum);
        }
    }
    __atomic_store_n(&stopping, true, __ATOMIC_RELAXED);
    team_end_round();
    say_verdict(n_wrong == 0);
    await_command("exit");
}

/* ---- signals */

#define SIGALRM 14
#define SIGQUEUED 34
#define SA_SIGINFO 4
#define SA_RESTORER 0x04000000u
#define SA_ONSTACK 0x08000000u
#define SA_RESTART 0x10000000u

struct info {
    int signal, error, code;
    union {
        struct {
            int pid, uid, value;
        };
        unsigned address;
    };
    int rest[24];
};

static void handle(int signal, void *handler, unsigned flags)
{
    struct {
        void *handler;
        unsigned flags;
        void (*restorer)(void);
        unsigned mask[2];
    } action = {handler, flags | SA_RESTORER, flags & SA_SIGINFO ? restore_rt : restore, {0, 0}};
    if (CALL(SYS_rt_sigaction, signal, &action, NULL, 8) != 0) {
        die("sigaction");
    }
}

static void set_timer(int microseconds)
{
    int timer[4] = {0, microseconds, 0, microseconds};
    CALL(SYS_setitimer, 0, timer, NULL);
}

static volatile int sent, received, errors, goal, pid;

static void check_work(unsigned x)
{
    if (work(x) != expected_work(x)) {
        errors++;
    }
}

static void on_alarm(int signal)
{
    (void)signal;
    check_work((unsigned)sent);
    struct info info = {.signal = SIGQUEUED, .code = -1, .pid = pid, .value = ++sent};
    CALL(SYS_rt_sigqueueinfo, pid, SIGQUEUED, &info);
    if (sent == goal) {
        set_timer(0);
    }
}

static void on_queued(int signal, struct info *info, void *context)
{
    (void)signal;
    (void)context;
    check_work((unsigned)info->value);
    if (info->value != ++received) {
        errors++;
    }
}

static void signals(unsigned hz, unsigned count)
{
    pid = CALL(SYS_getpid, 0);
    handle(SIGALRM, (void *)on_alarm, SA_RESTART);
    handle(SIGQUEUED, (void *)on_queued, SA_RESTART | SA_SIGINFO);
    say_ready();
    for (;;) {
        await_command("go");
        unsigned n = 0;
        goal = sent + (int)count;
        set_timer((int)(1000000 / hz));
        do {
            for (unsigned i = 0; i < 100; i++) {
                check_work(n++);
            }
        } while (sent < goal);
        CALL(SYS_getpid, 0);
        say("calls %u", n);
        say("handled %u", (unsigned)(sent + received));
        say_verdict(errors == 0 && sent == received);
    }
}

/* ---- instructions */

static int pipe_ends[2];

/* What interrupter() does now: that many signals, and then a byte, if the call is restarted. */
static unsigned n_signals;
static bool restarted, returned;
static unsigned n_handled;

/* A system call at an instruction that is not probed. */
static long unprobed_call(long number, const void *a, long b, long c)
{
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c), "S"(0) : "memory");
    return result;
}

static size_t read_file(const char *path, char *to, size_t most)
{
    long fd = unprobed_call(SYS_open, path, 0, 0);
    long n = unprobed_call(SYS_read, (void *)fd, (long)to, (long)most);
    unprobed_call(SYS_close, (void *)fd, 0, 0);
    if (fd < 0 || n <= 0) {
        die(path);
    }
    return (size_t)n;
}

/* True if the main thread sleeps in read(2). While it is stopped by a tracer `syscall` names the call as well. */
static bool reads(void)
{
    char call[256], stat[512];
    size_t n = read_file("/proc/self/syscall", call, sizeof call);
    if (n < 2 || call[0] != '3' || call[1] != ' ') {
        return false;
    }
    n = read_file("/proc/self/stat", stat, sizeof stat);
    for (size_t i = 0; i + 2 < n; i++) {
        if (stat[i] == ')' && stat[i + 1] == ' ') {
            return stat[i + 2] == 'S';
        }
    }
    return false;
}

static void await_read(void)
{
    while (!reads() && !__atomic_load_n(&returned, __ATOMIC_ACQUIRE)) {
        unprobed_call(SYS_sched_yield, NULL, 0, 0);
    }
}

static void interrupter(void *unused)
{
    (void)unused;
    for (;;) {
        unsigned n;
        while ((n = __atomic_load_n(&n_signals, __ATOMIC_ACQUIRE)) == 0) {
            unprobed_call(SYS_futex, &n_signals, 128, 0);
        }
        for (unsigned i = 1; i <= n; i++) {
            await_read();
            unprobed_call(SYS_tgkill, (void *)insn_pid, (long)insn_pid, SIGALRM);
            while (__atomic_load_n(&n_handled, __ATOMIC_ACQUIRE) < i) {
                unprobed_call(SYS_sched_yield, NULL, 0, 0);
            }
        }
        if (restarted) {
            await_read();
            unprobed_call(SYS_write, (void *)pipe_ends[1], (long)"x", 1);
        }
        __atomic_store_n(&n_signals, 0, __ATOMIC_RELEASE);
        unprobed_call(SYS_futex, &n_signals, 129, 1);
    }
}

static void on_interruption(int signal)
{
    (void)signal;
    __atomic_add_fetch(&n_handled, 1, __ATOMIC_RELEASE);
}

/* A read that signals interrupt, each while the thread sleeps in it. */
static unsigned blocked_call(unsigned flags, unsigned signals)
{
    char byte;
    handle(SIGALRM, (void *)on_interruption, flags);
    restarted = flags & SA_RESTART;
    returned = false;
    n_handled = 0;
    __atomic_store_n(&n_signals, signals, __ATOMIC_RELEASE);
    futex_wake(&n_signals);
    long result = CALL(SYS_read, pipe_ends[0], &byte, 1);
    __atomic_store_n(&returned, true, __ATOMIC_RELEASE);
    while (__atomic_load_n(&n_signals, __ATOMIC_ACQUIRE) != 0) {
        futex_wait(&n_signals, signals);
    }
    return n_handled == signals ? (unsigned)result : 0;
}

unsigned restarted_call(void)
{
    return blocked_call(SA_RESTART, 2);
}

unsigned interrupted_call(void)
{
    return blocked_call(0, 1);
}

/* struct ucontext: flags, link and stack, 20 bytes; then the registers, of which the 15th is eip. */
static void on_fault(int signal, struct info *info, void *context)
{
    unsigned *eip = (unsigned *)((char *)context + 20) + 14;
    fault_seen = (unsigned)signal << 24 | (unsigned)(info->code & 0xff) << 16 | (unsigned)(*eip == fault_site) << 8
        | (unsigned)(info->address == fault_address);
    if (fault_resume == fault_site && signal == 11) {
        CALL(SYS_mprotect, fault_page, sizeof fault_page, 1);
    }
    *eip = fault_resume;
}

static bool run(const struct insn *insn, unsigned times)
{
    unsigned result = insn->expected, damage = 0;
    for (unsigned i = 0; i < times && result == insn->expected && damage == 0; i++) {
        CALL(SYS_mprotect, fault_page, sizeof fault_page, 0);
        result = insn_call(insn->function, &damage);
    }
    if (result != insn->expected || damage != 0) {
        say("%s %x BAD, expected %x, damage %x", insn->name, result, insn->expected, damage);
        return false;
    }
    say("%s %x", insn->name, result);
    return true;
}

static void insns(unsigned times)
{
    static char stack[16 * 1024];
    struct {
        void *start;
        int flags;
        size_t size;
    } alternate = {stack, 0, sizeof stack};
    CALL(SYS_sigaltstack, &alternate, NULL);
    const int faults[] = {4, 5, 8, 11};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        handle(faults[i], (void *)on_fault, SA_SIGINFO | SA_ONSTACK);
    }
    if (CALL(SYS_pipe, pipe_ends) != 0) {
        die("pipe");
    }
    insn_pid = (unsigned)CALL(SYS_getpid, 0);
    if (start_thread(stacks[0] + sizeof stacks[0], interrupter, NULL) < 0) {
        die("clone");
    }
    say_ready();
    for (;;) {
        await_command("go");
        bool ok = true;
        for (const struct insn *insn = insn_table; insn < insn_table_end; insn++) {
            ok &= run(insn, times);
        }
        say_verdict(ok);
    }
}

/* ---- processes */

static int child(void *x)
{
    return (int)(work((unsigned)x) & 0xff);
}

static long start_fork(unsigned x)
{
    long forked = CALL(SYS_fork, 0);
    if (forked == 0) {
        leave(child((void *)x));
    }
    return forked;
}

static long start_clone_vm(unsigned x)
{
    return start_process(stacks[0] + sizeof stacks[0], child, (void *)x);
}

static void create(long (*start)(unsigned), unsigned x)
{
    long created = start(x);
    if (created < 0) {
        die("a child");
    }
    bool ok = work(x) == expected_work(x);
    int status = -1;
    ok &= CALL(SYS_waitpid, created, &status, 0) == created;
    ok &= status == (int)((expected_work(x) & 0xff) << 8);
    say("child %u", (unsigned)created);
    say_verdict(ok);
}

static void forker(const char *mode, char **argv)
{
    say_ready();
    for (unsigned x = 1;; x++) {
        await_command("go");
        if (equal(mode, "fork")) {
            create(start_fork, x);
        } else if (equal(mode, "vfork")) {
            create(vfork_work, x);
        } else if (equal(mode, "clone_vm")) {
            create(start_clone_vm, x);
        } else {
            say_verdict(work(1) == expected_work(1));
            CALL(SYS_execve, "/proc/self/exe", argv, NULL);
            die("exec");
        }
    }
}

/* ---- blocked system calls */

struct pollfd {
    int fd;
    short events, revents;
};

struct epoll_event {
    unsigned events;
    uint64_t data;
} __attribute__((packed));

static int epoll_fd;
static unsigned futex_word;
static bool released;

static long block_in_read(void)
{
    char byte;
    return CALL(SYS_read, pipe_ends[0], &byte, 1);
}

static long block_in_futex(void)
{
    long result = CALL(SYS_futex, &futex_word, 128, 0);
    return result == -11 ? 0 : result;
}

static long block_in_poll(void)
{
    struct pollfd event = {.fd = pipe_ends[0], .events = 1};
    long result = CALL(SYS_poll, &event, 1, 1000000);
    return result == 1 ? 0 : result == 0 ? -1 : result;
}

static long block_in_epoll(void)
{
    struct epoll_event event;
    long result = CALL(SYS_epoll_wait, epoll_fd, &event, 1, -1);
    return result == 1 ? 0 : result == 0 ? -1 : result;
}

static long block_in_nanosleep(void)
{
    int time[2] = {0, 20000000};
    return CALL(SYS_nanosleep, time, NULL);
}

static struct blocker {
    const char *name;
    long (*block)(void);
    unsigned begun, tid, returns, eintr, early, wrong, ended;
} blockers[] = {{.name = "read", .block = block_in_read},
                {.name = "futex", .block = block_in_futex},
                {.name = "poll", .block = block_in_poll},
                {.name = "epoll", .block = block_in_epoll},
                {.name = "nanosleep", .block = block_in_nanosleep}};

#define N_BLOCKERS (sizeof blockers / sizeof *blockers)

/* Nanoseconds of the second, and the seconds, as far as differences below a second go. */
static int elapsed(const int from[2])
{
    int now[2];
    CALL(SYS_clock_gettime, 1, now);
    return now[0] - from[0] > 1 ? 1000000000 : (now[0] - from[0]) * 1000000000 + now[1] - from[1];
}

static void run_blocker(void *argument)
{
    struct blocker *blocker = argument;
    bool sleeps = blocker->block == block_in_nanosleep;
    blocker->tid = (unsigned)CALL(SYS_gettid, 0);
    do {
        int begin[2];
        CALL(SYS_clock_gettime, 1, begin);
        __atomic_store_n(&blocker->begun, 1, __ATOMIC_RELEASE);
        long result = blocker->block();
        blocker->returns++;
        if (result == -4) {
            blocker->eintr++;
        } else if (result != 0) {
            blocker->wrong++;
        }
        if (sleeps ? elapsed(begin) < 20000000 : !__atomic_load_n(&released, __ATOMIC_ACQUIRE)) {
            blocker->early++;
        }
    } while (!__atomic_load_n(&released, __ATOMIC_ACQUIRE));
    __atomic_store_n(&blocker->ended, 1, __ATOMIC_RELEASE);
    futex_wake(&blocker->ended);
    for (;;) {
        CALL(SYS_exit, 0);
    }
}

static void sysblock(void)
{
    epoll_fd = CALL(SYS_epoll_create, 1);
    if (CALL(SYS_pipe, pipe_ends) != 0 || epoll_fd < 0) {
        die("pipe");
    }
    struct epoll_event event = {.events = 1};
    CALL(SYS_epoll_ctl, epoll_fd, 1, pipe_ends[0], &event);
    for (size_t i = 0; i < N_BLOCKERS; i++) {
        if (start_thread(stacks[i] + sizeof stacks[i], run_blocker, &blockers[i]) < 0) {
            die("clone");
        }
        while (!__atomic_load_n(&blockers[i].begun, __ATOMIC_ACQUIRE)) {
            CALL(SYS_sched_yield, 0);
        }
    }
    say_ready();
    for (size_t i = 0; i < N_BLOCKERS; i++) {
        say("thread %u %s", blockers[i].tid, blockers[i].name);
    }
    await_command("release");
    __atomic_store_n(&released, true, __ATOMIC_RELEASE);
    futex_word = 1;
    futex_wake(&futex_word);
    CALL(SYS_close, pipe_ends[1]);
    bool ok = true;
    for (size_t i = 0; i < N_BLOCKERS; i++) {
        struct blocker *blocker = &blockers[i];
        while (!__atomic_load_n(&blocker->ended, __ATOMIC_ACQUIRE)) {
            futex_wait(&blocker->ended, 0);
        }
        say("%s returns %u eintr %u early %u", blocker->name, blocker->returns, blocker->eintr, blocker->early);
        ok &= blocker->eintr == 0 && blocker->early == 0 && blocker->wrong == 0;
    }
    say_verdict(ok);
    await_command("exit");
}

/* ---- other code */

static void mixed(void)
{
    say_ready();
    for (;;) {
        await_command("go");
        bool ok = true;
        for (unsigned i = 0; i < n_calls; i++) {
            ok &= twice_and_one(i) == 2 * i + 1;
        }
        say_verdict(ok);
    }
}

/* A function that returns a structure pops the address of where to. */
struct pair {
    unsigned first, second;
};

struct pair make_pair(unsigned x);
struct pair make_pair(unsigned x)
{
    return (struct pair){x, x > 0 && x % 8 == 0 ? make_pair(x - 1).second + 1 : x + 1};
}

static void pairs(void)
{
    say_ready();
    for (;;) {
        await_command("go");
        bool ok = true;
        for (unsigned i = 0; i < n_calls; i++) {
            struct pair pair = make_pair(i);
            ok &= pair.first == i && pair.second == i + 1;
        }
        say_verdict(ok);
    }
}

/* gs leads to gs_block, as it leads to the thread's data in programs with a C library. */
static void set_gs(void)
{
    /* struct user_desc: number, base, limit, flags: 32-bit segment, limit in pages, usable */
    unsigned description[4] = {(unsigned)-1, (unsigned)gs_block, 0xfffff, 0x51};
    if (CALL(SYS_set_thread_area, description) != 0) {
        die("set_thread_area");
    }
    __asm__ volatile("mov %0, %%gs" : : "r"(description[0] * 8 + 3));
}

void start(int *stack)
{
    int argc = *stack;
    char **argv = (char **)(stack + 1);
    const char *mode = argc > 1 ? argv[1] : "calls";
    unsigned first = argc > 2 ? number(argv[2]) : 1;
    unsigned second = argc > 3 ? number(argv[3]) : 1;
    n_threads = first;
    n_calls = second;
    set_gs();
    if (equal(mode, "check")) {
        leave(0);
    } else if (equal(mode, "calls")) {
        calls();
    } else if (equal(mode, "forever")) {
        forever();
    } else if (equal(mode, "signals")) {
        signals(first, second);
    } else if (equal(mode, "insns")) {
        insns(first);
    } else if (equal(mode, "sysblock")) {
        sysblock();
    } else if (equal(mode, "pairs")) {
        n_calls = first;
        pairs();
    } else if (equal(mode, "mixed")) {
        n_calls = first;
        mixed();
    } else {
        forker(mode, argv);
    }
    leave(0);
}

package io.xolotl.xol;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.xolotl.lab.TargetProcess;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Calls that are not left in the order in which they began, or not at all, beside code that goes on where
 * they would have returned: each return belongs to its own call, and none is invented. Every function returns
 * its argument.
 */
class ReturnMatchingTest {

  /** Its fibers go on in the other of two threads, each in the middle of a call. */
  private static final String FIBERS = """
      #include <pthread.h>
      #include <semaphore.h>
      #include <stdio.h>
      #include <ucontext.h>
      #define FN __attribute__((noipa))
      enum { FIBERS = 6, CALLS = 40 };
      static ucontext_t fibers[FIBERS], threads[2];
      static char stacks[FIBERS][1 << 15];
      static sem_t turns[2];
      static volatile int runs_in[FIBERS];
      static volatile long returned;
      FN void pass(int fiber) { swapcontext(&fibers[fiber], &threads[runs_in[fiber]]); }
      FN long nested(long value, int fiber) { pass(fiber); return value; }
      FN long work(long value, int fiber) { long inner = nested(value + 1, fiber); pass(fiber); return inner - 1; }
      static void fiber(int me) {
        for (long i = 0; i < CALLS; i++) returned += work(1000 * me + i, me) == 1000 * me + i;
        for (;;) pass(me);
      }
      static void *thread(void *number) {
        long me = (long)number;
        for (int round = 0; round <= CALLS; round++) {
          sem_wait(&turns[me]);
          for (int i = 0; i < FIBERS; i++) { runs_in[i] = me; swapcontext(&threads[me], &fibers[i]); }
          sem_post(&turns[!me]);
        }
        return 0;
      }
      int main(void) {
        char line[64];
        setvbuf(stdout, 0, _IOLBF, 0);
        puts("ready");
        fgets(line, sizeof line, stdin);
        for (int i = 0; i < FIBERS; i++) {
          getcontext(&fibers[i]);
          fibers[i].uc_stack.ss_sp = stacks[i];
          fibers[i].uc_stack.ss_size = sizeof stacks[i];
          makecontext(&fibers[i], (void (*)(void))fiber, 1, i);
        }
        sem_init(&turns[0], 0, 1);
        sem_init(&turns[1], 0, 0);
        pthread_t all[2];
        for (long i = 0; i < 2; i++) pthread_create(&all[i], 0, thread, (void *)i);
        for (int i = 0; i < 2; i++) pthread_join(all[i], 0);
        printf("done %ld\\n", returned);
        fgets(line, sizeof line, stdin);
      }
      """;

  /** One call in three is left by a jump to right behind it, or ends its thread. */
  private static final String JUMPS = """
      #include <pthread.h>
      #include <setjmp.h>
      #include <signal.h>
      #include <stdio.h>
      #define FN __attribute__((noipa))
      static jmp_buf jump;
      static sigjmp_buf signal_jump;
      static volatile long passed;
      static void handler(int n) { siglongjmp(signal_jump, n); }
      FN long jumps(long i) { passed++; if (i % 3 == 0) longjmp(jump, 1); return i; }
      FN long signalled(long i) { passed++; if (i % 3 == 0) raise(SIGUSR1); return i; }
      FN long leaves(long i) { passed++; if (i % 3 == 0) pthread_exit(0); return i; }
      FN long again(long i, long n) { passed++; return n == 0 ? i : again(i, n - 1); }
      FN long last(long i) { passed++; return i; }
      FN long tails(long i) { passed++; return last(i); }
      long forever(long i, long n);
      __asm__(".text\\n.globl forever\\n.type forever,@function\\nforever: mov %rdi, %rax\\n"
              "test %rsi, %rsi\\njz 1f\\ndec %rsi\\njmp forever\\n1: ret\\n.size forever,.-forever");
      long moves(long i);
      __asm__(".globl moves\\n.type moves,@function\\nmoves: mov %rdi, %rax\\nmov (%rsp), %rdx\\n"
              "mov %rsp, kept(%rip)\\nlea elsewhere+4096(%rip), %rsp\\npush %rdx\\nret\\n.size moves,.-moves\\n"
              ".globl back\\n.type back,@function\\nback: pop %rdx\\nmov kept(%rip), %rsp\\nadd $8, %rsp\\n"
              "jmp *%rdx\\n.size back,.-back\\n.lcomm kept,8\\n.lcomm elsewhere,8192");
      static void *thread(void *i) { return (void *)leaves((long)i); }
      int main(void) {
        char line[64];
        setvbuf(stdout, 0, _IOLBF, 0);
        signal(SIGUSR1, handler);
        puts("ready");
        fgets(line, sizeof line, stdin);
        for (volatile long i = 0; i < 30; i++) { if (!setjmp(jump)) jumps(i); passed++; }
        for (volatile long i = 0; i < 30; i++) { if (!sigsetjmp(signal_jump, 1)) signalled(i); passed++; }
        for (long i = 0; i < 30; i++) { pthread_t t; pthread_create(&t, 0, thread, (void *)i); pthread_join(t, 0); }
        for (long i = 0; i < 10; i++) { passed += again(i, 9) == i; passed += tails(i) == i; }
        for (long i = 0; i < 10; i++) passed += forever(i, 5) == i;
        for (long i = 0; i < 10; i++)
          __asm__ volatile("mov %0, %%rdi\\ncall moves\\ncall back" : : "r"(i)
                           : "rax", "rcx", "rdx", "rdi", "rsi", "r8", "r9", "r10", "r11", "memory");
        printf("done %ld\\n", passed);
        fgets(line, sizeof line, stdin);
      }
      """;

  /** One call in three is left by an exception that is caught right behind it. */
  private static final String CATCHES = """
      #include <cstdio>
      #include <stdexcept>
      #define FN extern "C" __attribute__((noipa))
      static volatile long passed;
      FN long throws(long i) { passed++; if (i % 3 == 0) throw std::runtime_error("thrown"); return i; }
      FN long passes(long i) { passed++; return throws(i) + 0 * passed; }
      FN long tails(long i) { passed++; return throws(i); }
      int main() {
        char line[64];
        std::setvbuf(stdout, 0, _IOLBF, 0);
        std::puts("ready");
        std::fgets(line, sizeof line, stdin);
        for (volatile long i = 0; i < 30; i++) { try { throws(i); } catch (std::exception &) {} passed++; }
        for (volatile long i = 0; i < 30; i++) { try { passes(i); } catch (...) {} passed++; }
        for (volatile long i = 0; i < 30; i++) { try { tails(i); } catch (...) {} passed++; }
        std::printf("done %ld\\n", passed);
        std::fgets(line, sizeof line, stdin);
      }
      """;

  /** Functions of which not all exits are known, left by jumps to right behind where they were called. */
  private static final String UNKNOWN_EXITS = """
      #include <setjmp.h>
      #include <signal.h>
      #include <stdio.h>
      #include <ucontext.h>
      #define FN __attribute__((noipa))
      static jmp_buf jump;
      static sigjmp_buf signal_jump;
      static ucontext_t context;
      static volatile long passed;
      static volatile int again;
      static char other_stack[1 << 16];
      static void handler(int n) { siglongjmp(signal_jump, n); }
      FN long jumps(long i) { passed++; if (i % 3 == 0) longjmp(jump, 1); return i; }
      FN long signalled(long i) { passed++; if (i % 3 == 0) raise(SIGUSR1); return i; }
      FN long sets(long i) { passed++; if (i % 3 == 0) { again = 1; setcontext(&context); } return i; }
      FN long tails(long i) { passed++; return jumps(i); }
      FN long skipped(long i) { passed++; return jumps(i); }
      #define UNKNOWN(name, callee) long name(long); __asm__(".text\\n.globl " #name "\\n.type " #name ",@function\\n" \
        #name ": .cfi_startproc\\ntest %rdi, %rdi\\njs away\\nsub $8, %rsp\\n.cfi_adjust_cfa_offset 8\\ncall " #callee \
        "\\nadd $8, %rsp\\n.cfi_adjust_cfa_offset -8\\nret\\n.cfi_endproc\\n.size " #name ",.-" #name)
      __asm__(".text\\n.type away,@function\\naway: mov %rdi, %rax\\nret\\n.size away,.-away");
      UNKNOWN(maybe, jumps);
      UNKNOWN(handled, signalled);
      UNKNOWN(replaced, sets);
      FN long outer(long i) { long result = 0; if (i % 2) result = skipped(i); passed++; return result; }
      int main(void) {
        char line[64];
        setvbuf(stdout, 0, _IOLBF, 0);
        struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
        stack_t stack = {.ss_sp = other_stack, .ss_size = sizeof other_stack};
        sigaltstack(&stack, 0);
        sigaction(SIGUSR1, &action, 0);
        puts("ready");
        fgets(line, sizeof line, stdin);
        for (volatile long i = 0; i < 30; i++) { if (!setjmp(jump)) tails(i); passed++; }
        for (volatile long i = 0; i < 30; i++) { if (!setjmp(jump)) maybe(i); passed++; }
        for (volatile long i = 0; i < 30; i++) { if (!sigsetjmp(signal_jump, 1)) handled(i); passed++; }
        for (volatile long i = 0; i < 30; i++) {
          again = 0;
          getcontext(&context);
          if (!again) replaced(i);
          passed++;
        }
        for (volatile long i = 0; i < 60; i++) { if (!setjmp(jump)) outer(i); passed++; }
        for (long i = -10; i < 0; i++) passed += maybe(i) == i;
        printf("done %ld\\n", passed);
        fgets(line, sizeof line, stdin);
      }
      """;

  /** What leaves functions comes with a library, when the call has begun that it leaves. */
  private static final String LATER = """
      #include <dlfcn.h>
      #include <stdio.h>
      #define FN __attribute__((noipa))
      static volatile long passed;
      static long (*restore)(void *);
      static void *buffer[8];
      FN long leaves(long i) {
        passed++;
        if (!restore) restore = (long (*)(void *))dlsym(dlopen("./later.so", RTLD_NOW), "restore");
        if (i % 3 == 0) restore(buffer);
        return i;
      }
      long maybe(long);
      __asm__(".text\\n.globl maybe\\n.type maybe,@function\\nmaybe: test %rdi, %rdi\\njs away\\nsub $8, %rsp\\n"
              "call leaves\\nadd $8, %rsp\\nret\\n.size maybe,.-maybe\\n"
              ".type away,@function\\naway: mov %rdi, %rax\\nret\\n.size away,.-away");
      __attribute__((returns_twice)) long keep(void *);
      __asm__(".globl keep\\n.type keep,@function\\nkeep: mov %rbx, (%rdi)\\nmov %rbp, 8(%rdi)\\nmov %r12, 16(%rdi)\\n"
              "mov %r13, 24(%rdi)\\nmov %r14, 32(%rdi)\\nmov %r15, 40(%rdi)\\nlea 8(%rsp), %rdx\\nmov %rdx, 48(%rdi)\\n"
              "mov (%rsp), %rdx\\nmov %rdx, 56(%rdi)\\nxor %eax, %eax\\nret\\n.size keep,.-keep");
      int main(void) {
        char line[64];
        setvbuf(stdout, 0, _IOLBF, 0);
        puts("ready");
        fgets(line, sizeof line, stdin);
        for (volatile long i = 0; i < 30; i++) { if (!keep(buffer)) maybe(i); passed++; }
        printf("done %ld\\n", passed);
        fgets(line, sizeof line, stdin);
      }
      """;

  private static final String RESTORE = """
      .text
      .globl restore
      .type restore,@function
      restore: mov (%rdi), %rbx
      mov 8(%rdi), %rbp
      mov 16(%rdi), %r12
      mov 24(%rdi), %r13
      mov 32(%rdi), %r14
      mov 40(%rdi), %r15
      mov $1, %eax
      mov 48(%rdi), %rsp
      jmp *56(%rdi)
      .size restore,.-restore
      """;

  /** A function that keeps its stack pointer elsewhere and gets it back, in front of its return. */
  private static final String RESTORES = """
      #include <stdio.h>
      long restores(long i);
      __asm__(".text\\n.globl restores\\n.type restores,@function\\nrestores: .cfi_startproc\\ntest %rdi, %rdi\\njs away\\n"
              "mov %rsp, %rax\\nsub $72, %rsp\\nand $-64, %rsp\\nmov %rax, 8(%rsp)\\nmov %rdi, %rax\\nmov 8(%rsp), %rsp\\n"
              "ret\\n.cfi_endproc\\n.size restores,.-restores\\n"
              ".type away,@function\\naway: mov %rdi, %rax\\nret\\n.size away,.-away");
      int main(void) {
        char line[64];
        setvbuf(stdout, 0, _IOLBF, 0);
        puts("ready");
        fgets(line, sizeof line, stdin);
        long passed = 0;
        for (long i = 0; i < 20; i++) passed += restores(i) == i;
        printf("done %ld\\n", passed);
        fgets(line, sizeof line, stdin);
      }
      """;

  /** One thread leaves signal handlers on a stack of their own by longjmp, while another is in a call. */
  private static final String TWO_THREADS = """
      #include <pthread.h>
      #include <semaphore.h>
      #include <setjmp.h>
      #include <signal.h>
      #include <stdio.h>
      #define FN __attribute__((noipa))
      enum { STACK = 1 << 17 };
      static _Alignas(4096) char stacks[3][STACK];
      static sem_t in_call, jumped;
      static volatile long passed;
      static sigjmp_buf jump;
      static void handler(int n) { siglongjmp(jump, n); }
      FN long waits(long i) { sem_post(&in_call); sem_wait(&jumped); return i; }
      long maybe(long);
      __asm__(".text\\n.globl maybe\\n.type maybe,@function\\nmaybe: test %rdi, %rdi\\njs away\\nsub $8, %rsp\\n"
              "call waits\\nadd $8, %rsp\\nret\\n.size maybe,.-maybe\\n"
              ".type away,@function\\naway: mov %rdi, %rax\\nret\\n.size away,.-away");
      static void *calls(void *none) {
        for (long i = 0; i < 30; i++) passed += maybe(i) == i;
        return none;
      }
      static void *jumps(void *none) {
        stack_t own = {.ss_sp = stacks[0], .ss_size = STACK};
        sigaltstack(&own, 0);
        for (volatile long i = 0; i < 30; i++) {
          sem_wait(&in_call);
          if (!sigsetjmp(jump, 1)) raise(SIGUSR1);
          sem_post(&jumped);
        }
        return none;
      }
      int main(void) {
        char line[64];
        setvbuf(stdout, 0, _IOLBF, 0);
        struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
        sigaction(SIGUSR1, &action, 0);
        sem_init(&in_call, 0, 0);
        sem_init(&jumped, 0, 0);
        puts("ready");
        fgets(line, sizeof line, stdin);
        pthread_t threads[2];
        void *(*what[2])(void *) = {calls, jumps};
        for (int i = 0; i < 2; i++) {
          pthread_attr_t attributes;
          pthread_attr_init(&attributes);
          pthread_attr_setstack(&attributes, stacks[i + 1], STACK);
          pthread_create(&threads[i], &attributes, what[i], 0);
        }
        for (int i = 0; i < 2; i++) pthread_join(threads[i], 0);
        printf("done %ld\\n", passed);
        fgets(line, sizeof line, stdin);
      }
      """;

  /** Its fibers change by longjmp, each in the middle of a call that another function returns for. */
  private static final String JUMPING_FIBERS = """
      #include <setjmp.h>
      #include <stdio.h>
      #include <ucontext.h>
      #define FN __attribute__((noipa))
      enum { FIBERS = 4, CALLS = 20 };
      static ucontext_t start[FIBERS], back;
      static jmp_buf fibers[FIBERS], scheduler;
      static char stacks[FIBERS][1 << 15];
      static volatile int begun[FIBERS];
      static volatile long returned;
      FN void pass(int fiber) { if (!_setjmp(fibers[fiber])) _longjmp(scheduler, 1); }
      FN long inner(long value, int fiber) { pass(fiber); return value; }
      FN long tails(long value, int fiber) { returned++; return inner(value, fiber); }
      FN long whole(long value, int fiber) { pass(fiber); returned++; return value; }
      static void fiber(int me) {
        for (long i = 0; i < CALLS; i++) returned += (tails(100 * me + i, me) == 100 * me + i) + (whole(i, me) == i);
        for (;;) pass(me);
      }
      FN void run(volatile int i) {
        if (_setjmp(scheduler)) return;
        if (begun[i]) _longjmp(fibers[i], 1);
        begun[i] = 1;
        setcontext(&start[i]);
      }
      int main(void) {
        char line[64];
        setvbuf(stdout, 0, _IOLBF, 0);
        puts("ready");
        fgets(line, sizeof line, stdin);
        for (int i = 0; i < FIBERS; i++) {
          getcontext(&start[i]);
          start[i].uc_stack.ss_sp = stacks[i];
          start[i].uc_stack.ss_size = sizeof stacks[i];
          start[i].uc_link = &back;
          makecontext(&start[i], (void (*)(void))fiber, 1, i);
        }
        for (int round = 0; round < 2 * CALLS + 1; round++)
          for (int i = 0; i < FIBERS; i++) run(i);
        printf("done %ld\\n", returned);
        fgets(line, sizeof line, stdin);
      }
      """;

  /** Calls that never return, with the landing pad behind them; and a function with one of its own. */
  private static final String PADS = """
      #include <cstdio>
      #include <stdexcept>
      #define FN extern "C" __attribute__((noipa))
      static volatile long passed;
      FN [[noreturn]] void throws(long i) { passed++; throw std::runtime_error("thrown"); }
      extern "C" [[noreturn]] void raises(long i);
      __asm__(".text\\n.globl raises\\n.type raises,@function\\nraises: jmp throws\\n.size raises,.-raises");
      FN long sometimes(long i) { passed++; if (i % 3 == 0) throws(i); return i; }
      struct Cleaning { ~Cleaning() { passed++; } };
      FN long cleans(long i) { Cleaning cleaning; passed++; return sometimes(i); }
      int main() {
        char line[64];
        std::setvbuf(stdout, 0, _IOLBF, 0);
        std::puts("ready");
        std::fgets(line, sizeof line, stdin);
        for (volatile long i = 0; i < 30; i++) { try { raises(i); } catch (std::exception &) { passed++; } }
        for (volatile long i = 0; i < 30; i++) { try { cleans(i); } catch (...) {} passed++; }
        std::printf("done %ld\\n", passed);
        std::fgets(line, sizeof line, stdin);
      }
      """;

  @TempDir
  private Path directory;

  /** What a probe has seen. */
  private record Seen(long calls, long returns, long missed, long wrong) {}

  private Map<String, Seen> seen(String source, String compiler, List<String> options, HandlerContext context,
      String... functions) throws Exception {
    Path file = directory.resolve("matched." + (compiler.equals("g++") ? "cc" : "c"));
    Files.writeString(file, source);
    Path program = directory.resolve("matched");
    var command = new ArrayList<>(List.of(compiler, "-pthread", "-w", "-o", program.toString()));
    command.addAll(options);
    command.add(file.toString());
    assertThat(new ProcessBuilder(command).inheritIO().start().waitFor()).isZero();
    String unprobed = done(program, null, null);
    var seen = new LinkedHashMap<String, Seen>();
    String probed = done(program, process -> {
      for (String function : functions) {
        var wrong = new AtomicLong();
        ReturnProbe probe = process.register(ReturnProbeRequest
            .<Long>of(new ProbeLocation.Symbol("matched", function, 0), hit -> hit.argument(0),
                (hit, argument) -> wrong.addAndGet(hit.registers().rax() == argument ? 0 : 1))
            .inContext(context));
        seen.put(function, new Seen(0, 0, 0, 0));
        probes.add(new Watched(function, probe, wrong));
      }
    }, seen);
    assertThat(probed).isEqualTo(unprobed);
    return seen;
  }

  private record Watched(String function, ReturnProbe probe, AtomicLong wrong) {}

  private final List<Watched> probes = new ArrayList<>();

  private interface Registration {
    void on(ProbedProcess process);
  }

  private String done(Path program, Registration registration, Map<String, Seen> seen) throws Exception {
    try (TargetProcess target = TargetProcess.start(List.of(program.toString()))) {
      target.awaitLine("ready");
      if (registration == null) {
        target.send("go");
        return target.awaitLine("done");
      }
      try (ProbedProcess process = ProbedProcess.attach(target.pid())) {
        registration.on(process);
        target.send("go");
        String line = target.awaitLine("done");
        for (Watched watched : probes) {
          ReturnProbe probe = watched.probe();
          seen.put(watched.function(),
              new Seen(probe.calls(), probe.returns(), probe.missed(), watched.wrong().get()));
        }
        return line;
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"-O0, INTERRUPT", "-O2, INTERRUPT", "-O2, TASK"})
  void fibersThatChangeThreads(String optimization, HandlerContext context) throws Exception {
    Map<String, Seen> seen = seen(FIBERS, "gcc", List.of(optimization), context, "work", "nested");
    assertThat(seen).containsEntry("work", new Seen(240, 240, 0, 0));
    // Each is one more than the function's own argument was.
    assertThat(seen).containsEntry("nested", new Seen(240, 240, 0, 0));
  }

  @ParameterizedTest
  @CsvSource({"-O0, INTERRUPT", "-O2, INTERRUPT", "-O2, TASK", "-O2 -fomit-frame-pointer -static, INTERRUPT"})
  void jumpsRightBehindTheCall(String optimization, HandlerContext context) throws Exception {
    Map<String, Seen> seen = seen(JUMPS, "gcc", Arrays.asList(optimization.split(" ")), context, "jumps",
        "signalled", "leaves", "again", "last", "tails", "forever", "moves");
    assertThat(seen).containsEntry("jumps", new Seen(30, 20, 0, 0));
    assertThat(seen).containsEntry("signalled", new Seen(30, 20, 0, 0));
    assertThat(seen).containsEntry("leaves", new Seen(30, 20, 0, 0));
    assertThat(seen.get("again")).satisfies(each -> {
      assertThat(each.returns()).isEqualTo(each.calls());
      assertThat(each.missed() + each.wrong()).isZero();
    });
    assertThat(seen).containsEntry("last", new Seen(10, 10, 0, 0));
    assertThat(seen).containsEntry("tails", new Seen(10, 10, 0, 0));
    // Six activations each, of which all but the last call the next by a jump.
    assertThat(seen).containsEntry("forever", new Seen(60, 60, 0, 0));
    // Its stack is elsewhere when it returns, as Go's may be: nobody knows whose return that is.
    assertThat(seen).containsEntry("moves", new Seen(10, 0, 10, 0));
  }

  @ParameterizedTest
  @CsvSource({"-O0, INTERRUPT", "-O2, INTERRUPT", "-O2, TASK"})
  void exceptionsThatAreCaughtRightBehindTheCall(String optimization, HandlerContext context)
      throws Exception {
    assumeTrue(new ProcessBuilder("sh", "-c", "command -v g++ > /dev/null").start().waitFor() == 0,
        "there is no C++ compiler");
    Map<String, Seen> seen = seen(CATCHES, "g++", List.of(optimization), context, "throws", "passes",
        "tails");
    assertThat(seen).containsEntry("throws", new Seen(90, 60, 0, 0));
    assertThat(seen).containsEntry("passes", new Seen(30, 20, 0, 0));
    assertThat(seen.get("tails").calls()).isEqualTo(30);
    assertThat(seen.get("tails").returns()).isEqualTo(20);
    assertThat(seen.get("tails").wrong()).isZero();
  }

  @ParameterizedTest
  @CsvSource({"-O0, INTERRUPT", "-O2, INTERRUPT", "-O2, TASK", "-O2 -static, INTERRUPT",
      "-O2 -s -rdynamic, INTERRUPT"})
  void jumpsPastFunctionsWithUnknownExits(String optimization, HandlerContext context) throws Exception {
    Map<String, Seen> seen = seen(UNKNOWN_EXITS, "gcc", Arrays.asList(optimization.split(" ")), context,
        "tails", "maybe", "handled", "replaced", "skipped");
    assertThat(seen).containsEntry("tails", new Seen(30, 20, 0, 0));
    assertThat(seen).containsEntry("maybe", new Seen(40, 30, 0, 0));
    assertThat(seen.get("handled")).satisfies(each -> {
      assertThat(List.of(each.calls(), each.returns(), each.wrong())).containsExactly(30L, 20L, 0L);
      // Between stacks nobody knows which calls are over: those that seem to return are not said to.
      assertThat(each.missed()).isBetween(0L, 10L);
    });
    assertThat(seen).containsEntry("replaced", new Seen(30, 20, 0, 0));
    assertThat(seen).containsEntry("skipped", new Seen(30, 20, 0, 0));
  }

  @ParameterizedTest
  @CsvSource({"-O0, INTERRUPT", "-O2, INTERRUPT", "-O2, TASK"})
  void jumpsOfALibraryThatComesMeanwhile(String optimization, HandlerContext context) throws Exception {
    Path source = Files.writeString(directory.resolve("later.s"), RESTORE);
    Path library = directory.resolve("later.so");
    assertThat(new ProcessBuilder("gcc", "-shared", "-nostdlib", "-o", library.toString(), source.toString())
        .inheritIO().start().waitFor()).isZero();
    Map<String, Seen> seen = seen(LATER.replace("./later.so", library.toString()), "gcc",
        List.of(optimization), context, "maybe");
    assertThat(seen).containsEntry("maybe", new Seen(30, 20, 0, 0));
  }

  @ParameterizedTest
  @EnumSource(HandlerContext.class)
  void aStackPointerThatIsRestored(HandlerContext context) throws Exception {
    Map<String, Seen> seen = seen(RESTORES, "gcc", List.of("-O2"), context, "restores");
    assertThat(seen).containsEntry("restores", new Seen(20, 20, 0, 0));
  }

  @ParameterizedTest
  @EnumSource(HandlerContext.class)
  void callsOfOtherThreads(HandlerContext context) throws Exception {
    Map<String, Seen> seen = seen(TWO_THREADS, "gcc", List.of("-O2"), context, "maybe");
    assertThat(seen.get("maybe")).satisfies(each -> {
      assertThat(each.calls()).isEqualTo(30);
      assertThat(each.returns() + each.missed()).isEqualTo(30);
      assertThat(each.wrong()).isZero();
    });
  }

  @ParameterizedTest
  @CsvSource({"-O0, INTERRUPT", "-O2, INTERRUPT", "-O2, TASK"})
  void fibersThatChangeByLongjmp(String optimization, HandlerContext context) throws Exception {
    Map<String, Seen> seen = seen(JUMPING_FIBERS, "gcc", List.of(optimization), context, "tails", "whole");
    // Nobody can tell these from calls that longjmp has ended; and nobody says that they have not returned.
    assertThat(seen.get("tails")).satisfies(each -> {
      assertThat(each.calls()).isEqualTo(80);
      assertThat(each.returns() + each.missed()).isEqualTo(80);
      assertThat(each.wrong()).isZero();
    });
    assertThat(seen).containsEntry("whole", new Seen(80, 80, 0, 0));
  }

  @ParameterizedTest
  @CsvSource({"-O0, INTERRUPT", "-O2, INTERRUPT", "-O2, TASK", "-O2 -s -rdynamic, INTERRUPT",
      "-O2 -static, INTERRUPT"})
  void landingPadsBehindTheCall(String optimization, HandlerContext context) throws Exception {
    assumeTrue(new ProcessBuilder("sh", "-c", "command -v g++ > /dev/null").start().waitFor() == 0,
        "there is no C++ compiler");
    Map<String, Seen> seen = seen(PADS, "g++", Arrays.asList(optimization.split(" ")), context, "raises",
        "cleans");
    assertThat(seen).containsEntry("raises", new Seen(30, 0, 0, 0));
    assertThat(seen).containsEntry("cleans", new Seen(30, 20, 0, 0));
  }
}

/**
 * Probes on the instructions of running Linux x86-64 processes, as the kernel's uprobes are, from user space.
 *
 * <h2>An example</h2>
 *
 * {@snippet :
 * try (var process = ProbedProcess.launch(LaunchRequest.of(List.of("ls", "-l", "/")))) {
 *   Probe malloc = process.register(ProbeRequest.at("libc.so.6", "malloc",
 *       hit -> System.out.println("malloc of " + hit.argument(0) + " bytes")));
 *   process.start();
 *   process.end().join();
 *   System.out.println(malloc.hits() + " calls");
 * }
 * }
 *
 * <h2>Life cycle</h2>
 *
 * {@link io.xolotl.xol.ProbedProcess#attach(int) attach} takes a running process,
 * {@link io.xolotl.xol.ProbedProcess#launch(io.xolotl.ptrace.LaunchRequest) launch} starts one and holds it
 * before any code of its libraries runs, until {@link io.xolotl.xol.ProbedProcess#start start}. A
 * {@link io.xolotl.xol.ProbeRequest} says what to probe and what happens at a hit;
 * {@link io.xolotl.xol.ProbedProcess#register(io.xolotl.xol.ProbeRequest) register} makes it a
 * {@link io.xolotl.xol.Probe}, or refuses it and has changed nothing. A
 * {@link io.xolotl.xol.ReturnProbeRequest} observes calls from entry to return. Whoever hits a probe stops,
 * its handlers look at and change the {@link io.xolotl.xol.ProbeHit}, and the displaced instruction is
 * executed elsewhere, so that no other thread passes unseen. {@link io.xolotl.xol.ProbedProcess#close close}
 * and the exit of the JVM leave the process as if it had never been probed. After SIGKILL of the JVM the
 * breakpoints stay, and the process dies of the next one.
 *
 * <h2>Threads</h2>
 *
 * All methods may be called by any thread, also in handlers. Handlers in
 * {@link io.xolotl.xol.HandlerContext#INTERRUPT} and all conditions and listeners run on the session's tracer
 * thread, which serves nobody else meanwhile: they must be short and must not block. Handlers in
 * {@link io.xolotl.xol.HandlerContext#TASK} run on an executor and may block. What holds a call of this
 * library up for a second is interrupted.
 *
 * <h2>Errors</h2>
 *
 * What is refused throws {@link io.xolotl.xol.ProbeException}, with one sentence for people and a
 * {@link io.xolotl.xol.ProbeException.Reason} for programs; the process is unharmed. What a handler throws,
 * and why a probe has ended without being asked to, goes to the error listener of
 * {@link io.xolotl.xol.ProbingOptions}, by default to {@link java.lang.System.Logger}.
 *
 * <h2>Permissions</h2>
 *
 * A process may be probed by its own user if {@code kernel.yama.ptrace_scope} is 0, and always with
 * {@code CAP_SYS_PTRACE}; programs that are launched need only a scope of 0 or 1. Java must be started with
 * {@code --enable-native-access=io.xolotl.ptrace}, on the class path with {@code ALL-UNNAMED}.
 *
 * <h2>Techniques</h2>
 *
 * Where the effect of an instruction can be computed, as that of branches, it is
 * {@linkplain io.xolotl.decoder.Technique#EMULATED emulated}. Most others are
 * {@linkplain io.xolotl.decoder.Technique#BOOSTED boosted}: a copy is executed that jumps back behind the
 * original. Both cost one stop a hit. Repeated string instructions, and RIP-relative ones that need a scratch
 * register, are {@linkplain io.xolotl.decoder.Technique#TRAPPED trapped}, and system calls
 * {@linkplain io.xolotl.decoder.Technique#SINGLE_STEPPED single-stepped}, at two stops. The engine chooses;
 * {@link io.xolotl.xol.ProbeRequest#with ProbeRequest.with} forces one. What can be executed in none of these
 * ways is refused with a {@link io.xolotl.decoder.Refusal}.
 */
@org.jspecify.annotations.NullMarked
@SuppressWarnings("module") // Those that it exports to are compiled after this module.
module io.xolotl.xol {
  requires static transitive org.jspecify;
  requires transitive io.xolotl.decoder;
  requires transitive io.xolotl.ptrace;
  requires net.fornwall.jelf;
  requires org.tukaani.xz;

  exports io.xolotl.xol;
  exports io.xolotl.xol.elf to
      io.xolotl.bench, io.xolotl.cli;
}

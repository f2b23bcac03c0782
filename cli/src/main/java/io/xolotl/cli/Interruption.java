package io.xolotl.cli;

import io.xolotl.xol.elf.Reading;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.List;
import java.util.OptionalInt;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import java.util.function.IntConsumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * What Ctrl-C, SIGTERM and the end of the terminal do to a command: it ends as if its time were up, and exits
 * with the signal's status, 129, 130 or 143, when its results are printed.
 *
 * <p>The signals are caught, rather than a shutdown hook used: all hooks of a JVM run at once, so that
 * sessions would be closed under the command that still works with them, and no session could be opened. Only
 * a command that does not come to its end is ended by {@link System#exit}, whose hooks restore the processes.
 */
final class Interruption {

  private static final List<String> SIGNALS = List.of("HUP", "INT", "TERM");

  /**
   * How long a command may take to end, in seconds, after one signal and after two. The third ends it at
   * once.
   */
  private static final int[] PATIENCE = {60, 10, 0};
  /** How long a JVM on a busy machine may take to come to a signal that it has got. */
  private static final int LATE_SECONDS = 5;

  private final CompletableFuture<Void> requested = new CompletableFuture<>();
  private final CompletableFuture<Void> ended = new CompletableFuture<>();
  /** The thread whose reading is to be cut short. Guarded by {@link #requested}. */
  private @Nullable Thread reading;
  private final AtomicInteger signals = new AtomicInteger();
  private final AtomicInteger status = new AtomicInteger();

  /**
   * Lets the signals that this JVM gets end the command.
   *
   * @param say takes a message for people
   * @param exit ends the JVM with a status
   */
  void install(Consumer<String> say, IntConsumer exit) {
    for (String name : SIGNALS) {
      try {
        handle(name, number -> signalled(128 + number, say, exit));
      } catch (ReflectiveOperationException e) {
        // The JVM lacks the class, or was started with -Xrs.
        say.accept("SIG" + name + " cannot be caught and would lose the results: " + e);
      }
    }
  }

  /**
   * Calls sun.misc.Signal, of the module jdk.unsupported; not by its name, since javac warns of that
   * unconditionally.
   */
  private static void handle(String name, IntConsumer handler)
      throws ReflectiveOperationException {
    Class<?> signalType = Class.forName("sun.misc.Signal");
    Class<?> handlerType = Class.forName("sun.misc.SignalHandler");
    Method number = signalType.getMethod("getNumber");
    Object proxy = Proxy.newProxyInstance(Interruption.class.getClassLoader(), new Class<?>[]{handlerType},
        (_, _, arguments) -> {
          // The JDK calls the one method of the interface, and none of Object's.
          handler.accept((int) number.invoke(arguments[0]));
          return null;
        });
    signalType.getMethod("handle", signalType, handlerType).invoke(null,
        signalType.getConstructor(String.class).newInstance(name), proxy);
  }

  /** Called in a thread of its own for each signal. */
  private void signalled(int exitStatus, Consumer<String> say, IntConsumer exit) {
    status.compareAndSet(0, exitStatus);
    int earlier = Math.min(signals.getAndIncrement(), PATIENCE.length - 1);
    request();
    try {
      ended.get(PATIENCE[earlier], TimeUnit.SECONDS);
    } catch (TimeoutException e) {
      say.accept("the results take too long and are not printed; processes are restored");
      exit.accept(exitStatus);
    } catch (InterruptedException | ExecutionException e) {
      throw new IllegalStateException(
          "nobody interrupts this thread, and the command ends without an exception", e);
    }
  }

  /** Waits for a signal that this JVM has got and not come to yet, if it has got any; not long. */
  void awaitLateSignal() {
    try {
      requested.get(LATE_SECONDS, TimeUnit.SECONDS);
    } catch (TimeoutException e) {
      // None: the process has ended by itself.
      return;
    } catch (InterruptedException | ExecutionException e) {
      throw new IllegalStateException("nobody interrupts the command, and a request is no failure", e);
    }
  }

  /** Ends the command as a signal does. */
  void request() {
    requested.complete(null);
    synchronized (requested) {
      if (reading != null) {
        reading.interrupt();
      }
    }
  }

  /**
   * Does what may read large files before there are results: the end of the command cuts it short.
   *
   * @throws Failure if it was
   */
  <T> T cuttingShort(Supplier<T> work) {
    synchronized (requested) {
      reading = Thread.currentThread();
      if (isRequested()) {
        reading.interrupt();
      }
    }
    try {
      return Reading.interruptibly(work);
    } catch (RuntimeException e) {
      if (isRequested() && Thread.currentThread().isInterrupted()) {
        throw new Failure("ended while files were read, before there was a result");
      }
      throw e;
    } finally {
      synchronized (requested) {
        reading = null;
        // It concerns nothing that comes behind.
        Thread.interrupted();
      }
    }
  }

  /** Completes when the command shall end. */
  CompletableFuture<Void> requested() {
    return requested;
  }

  boolean isRequested() {
    return requested.isDone();
  }

  /** The command has ended: there is nothing to wait for. */
  void commandEnded() {
    ended.complete(null);
  }

  /** The exit status by the first signal; empty if there was none. */
  OptionalInt exitStatus() {
    int known = status.get();
    return known == 0 ? OptionalInt.empty() : OptionalInt.of(known);
  }
}

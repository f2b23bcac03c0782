package io.xolotl.cli;

import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import java.util.function.IntConsumer;
import java.util.stream.Collectors;

/**
 * What Ctrl-C, SIGTERM and the end of the terminal do while this JVM exits already, which takes as long as a handler that
 * does not return: they end it all the same. It still gets the time in which a handler is interrupted and returns, so that
 * nobody who is merely impatient costs a process its life.
 *
 * <p>The JVM itself ignores such a signal then.
 */
final class SecondSignal {

  /** How long the JVM may take from the beginning of its exit: after two seconds the library knows what helps and what does not. */
  private static final long PATIENCE = TimeUnit.SECONDS.toNanos(5);

  private static final Set<Session> OPEN = ConcurrentHashMap.newKeySet();

  private final Consumer<String> say;
  private final long begin = System.nanoTime();
  private final AtomicBoolean signalled = new AtomicBoolean();

  private SecondSignal(Consumer<String> say) {
    this.say = say;
  }

  /** Has signals end the JVM from the beginning of its exit on. */
  static void install(Consumer<String> say) {
    Runtime.getRuntime().addShutdownHook(new Thread(() -> new SecondSignal(say).arm(), "xolotl-signals"));
  }

  /** A process will have to be restored. */
  static void opened(Session session) {
    OPEN.add(session);
  }

  /** There is nothing to restore any more. */
  static void closed(Session session) {
    OPEN.remove(session);
  }

  private void arm() {
    for (String name : List.of("HUP", "INT", "TERM")) {
      try {
        handle(name, number -> signalled(128 + number));
      } catch (ReflectiveOperationException e) {
        // With -Xrs the JVM does not catch them, and they end it at once.
        continue;
      }
    }
  }

  /** Called in a thread of its own for each signal. */
  private void signalled(int status) {
    if (signalled.getAndSet(true)) {
      return;
    }
    try {
      // The JVM may be through before, and this thread ends with it.
      TimeUnit.NANOSECONDS.sleep(PATIENCE - (System.nanoTime() - begin));
    } catch (InterruptedException e) {
      throw new IllegalStateException("nobody knows this thread", e);
    }
    List<Session> left = List.copyOf(OPEN);
    if (!left.isEmpty()) {
      say.accept("ended by a second signal before "
          + left.stream().map(session -> "process " + session.process().pid()).collect(Collectors.joining(" and "))
          + " could be restored: the breakpoints stay in it, a thread that was stopped at one goes on in the middle of an"
          + " instruction, and the process dies of the next one");
    }
    Runtime.getRuntime().halt(status);
  }

  /** Calls sun.misc.Signal, of the module jdk.unsupported; not by its name, since javac warns of that unconditionally. */
  private static void handle(String name, IntConsumer handler) throws ReflectiveOperationException {
    Class<?> signalType = Class.forName("sun.misc.Signal");
    Class<?> handlerType = Class.forName("sun.misc.SignalHandler");
    Method number = signalType.getMethod("getNumber");
    Object proxy = Proxy.newProxyInstance(SecondSignal.class.getClassLoader(), new Class<?>[]{handlerType},
        (_, _, arguments) -> {
          // The JDK calls the one method of the interface, and none of Object's.
          handler.accept((int) number.invoke(arguments[0]));
          return null;
        });
    signalType.getMethod("handle", signalType, handlerType).invoke(null,
        signalType.getConstructor(String.class).newInstance(name), proxy);
  }
}

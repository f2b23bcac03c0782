package io.xolotl.xol;

import java.util.Collection;
import java.util.List;

/**
 * Restores the process when the JVM exits. Where a handler on the tracer thread exits, that thread starts the
 * hooks and waits for their ends, and can do nothing for them: it does it all when it starts this one.
 */
final class ExitHook extends Thread {

  private static final System.Logger LOGGER = System.getLogger(ProbedProcess.class.getName());

  private final Session session;
  private final Collection<Session> family;

  /**
   * A hook that is not registered.
   *
   * @param family the sessions that the tracer serves
   */
  ExitHook(Session session, Collection<Session> family) {
    super(session::closeAtExit, "xolotl-restore");
    this.session = session;
    this.family = family;
  }

  /** Returns false if the JVM exits already. */
  boolean register() {
    try {
      Runtime.getRuntime().addShutdownHook(this);
      return true;
    } catch (IllegalStateException shuttingDown) {
      return false;
    }
  }

  /** The session has ended. */
  void unregister() {
    try {
      Runtime.getRuntime().removeShutdownHook(this);
    } catch (IllegalStateException shuttingDown) {
      // The hook is running, or waits to: it finds the session closed.
      return;
    }
  }

  @Override
  public void start() {
    UserCode.jvmExits();
    if (!session.isTracerThread()) {
      super.start();
      return;
    }
    try {
      // All sessions of the thread first: a hit handed out meanwhile must run no handler, which might exit
      // again.
      List.copyOf(family).forEach(each -> each.closing().stopProbing());
      session.closing().abandonHandlers();
    } catch (RuntimeException e) {
      // Thrown on, it would keep the other sessions from being restored.
      LOGGER.log(System.Logger.Level.ERROR, session + " could not be restored", e);
    }
  }
}

package io.xolotl.cli;

/** A command could not do what it was asked to. The message is one sentence for people. */
final class Failure extends RuntimeException {
  private static final long serialVersionUID = 1L;

  Failure(String message) {
    super(message);
  }
}

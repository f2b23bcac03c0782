package io.xolotl.cli;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class DemoCommandTest {

  @Test
  void showsRealWorkAndFindsItRight() {
    assertThat(Cli.run("demo").done().output()).contains("libc.so.6:memcpy", "The output of sort is right");
  }
}

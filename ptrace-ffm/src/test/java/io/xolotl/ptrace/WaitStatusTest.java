package io.xolotl.ptrace;

import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.ptrace.WaitStatus.Created;
import io.xolotl.ptrace.WaitStatus.Event;
import io.xolotl.ptrace.WaitStatus.Executed;
import io.xolotl.ptrace.WaitStatus.Exited;
import io.xolotl.ptrace.WaitStatus.Exiting;
import io.xolotl.ptrace.WaitStatus.GroupStop;
import io.xolotl.ptrace.WaitStatus.Interrupted;
import io.xolotl.ptrace.WaitStatus.Killed;
import io.xolotl.ptrace.WaitStatus.Other;
import io.xolotl.ptrace.WaitStatus.Signal;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** The words of waitpid(2), as wait(2) and ptrace(2) define them. */
class WaitStatusTest {

  static Stream<Arguments> words() {
    return Stream.of(
        // exit status << 8
        Arguments.of(0x0000, new Exited(0)),
        Arguments.of(0x0300, new Exited(3)),
        Arguments.of(0xff00, new Exited(255)),
        // signal, | 0x80 with a core dump
        Arguments.of(0x0009, new Killed(9, false)),
        Arguments.of(0x008b, new Killed(11, true)),
        Arguments.of(0x0040, new Killed(64, false)),
        // signal << 8 | 0x7f
        Arguments.of(0x057f, new Signal(5)),
        Arguments.of(0x137f, new Signal(19)),
        Arguments.of(0x407f, new Signal(64)),
        // SIGTRAP | 0x80, of PTRACE_O_TRACESYSGOOD
        Arguments.of(0x857f, new Other(0x857f)),
        // event << 16 | SIGTRAP << 8 | 0x7f
        Arguments.of(0x1057f, new Created(Event.FORK)),
        Arguments.of(0x2057f, new Created(Event.VFORK)),
        Arguments.of(0x3057f, new Created(Event.CLONE)),
        Arguments.of(0x4057f, new Executed()),
        Arguments.of(0x5057f, new Other(0x5057f)),
        Arguments.of(0x6057f, new Exiting()),
        Arguments.of(0x7057f, new Other(0x7057f)),
        // PTRACE_EVENT_STOP, with the stop signal if there is a group-stop
        Arguments.of(0x80057f, new Interrupted()),
        Arguments.of(0x80137f, new GroupStop(19)),
        Arguments.of(0x80147f, new GroupStop(20)),
        Arguments.of(0x80157f, new GroupStop(21)),
        Arguments.of(0x80167f, new GroupStop(22)));
  }

  @ParameterizedTest
  @MethodSource("words")
  void wordIsDecoded(int word, WaitStatus expected) {
    assertThat(WaitStatus.of(word)).isEqualTo(expected);
  }

  @Test
  void stopsAreSharedInstances() {
    for (int word : new int[]{0x057f, 0x3057f, 0x4057f, 0x80057f, 0x80137f}) {
      assertThat(WaitStatus.of(word)).isSameAs(WaitStatus.of(word));
    }
  }
}

package io.xolotl.xol;

import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.lab.Await;
import io.xolotl.ptrace.IdleCpus;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.Executors;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Each task runs once and at once, in whatever thread. */
class HandlerThreadsTest {

  @ParameterizedTest
  @EnumSource
  void tasksThatBlockHoldNoOthersUp(IdleCpus idleCpus) throws Exception {
    var threads = new HandlerThreads(idleCpus);
    int n = 200;
    var all = new CyclicBarrier(n);
    var done = new CountDownLatch(n);
    for (int i = 0; i < n; i++) {
      threads.execute(() -> {
        try {
          all.await();
        } catch (Exception e) {
          throw new IllegalStateException(e);
        }
        done.countDown();
      });
    }
    assertThat(done.await(Await.PATIENCE.toSeconds(), TimeUnit.SECONDS)).isTrue();
  }

  /**
   * Between any two steps of the thread that is kept: tasks that come one by one, and from several threads
   * together.
   */
  @ParameterizedTest
  @EnumSource
  void eachTaskRunsOnce(IdleCpus idleCpus) {
    var threads = new HandlerThreads(idleCpus);
    int senders = 4;
    int tasks = 20_000;
    var runs = new AtomicInteger();
    Set<Thread> platform = ConcurrentHashMap.newKeySet();
    try (var pool = Executors.newFixedThreadPool(senders)) {
      for (int s = 0; s < senders; s++) {
        boolean waits = s % 2 == 0;
        pool.execute(() -> {
          var ran = new Semaphore(0);
          for (int i = 0; i < tasks; i++) {
            threads.execute(() -> {
              runs.incrementAndGet();
              if (!Thread.currentThread().isVirtual()) {
                platform.add(Thread.currentThread());
              }
              Thread.currentThread().interrupt();
              ran.release();
            });
            if (waits) {
              ran.acquireUninterruptibly();
            }
          }
          if (!waits) {
            ran.acquireUninterruptibly(tasks);
          }
        });
      }
    }
    assertThat(runs).hasValue(senders * tasks);
    assertThat(platform).isNotEmpty();
    Await.until(() -> platform.stream().noneMatch(Thread::isAlive), () -> "the thread that is kept ends");
  }
}

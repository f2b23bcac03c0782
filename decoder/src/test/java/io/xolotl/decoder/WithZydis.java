package io.xolotl.decoder;

import io.xolotl.decoder.reference.PinnedZydis;
import net.jqwik.api.lifecycle.LifecycleContext;
import net.jqwik.api.lifecycle.SkipExecutionHook;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtensionContext;

/**
 * Skips tests, and says so, that run with Zydis in place of the tables, if the build has not the one that the
 * tables are made from.
 */
final class WithZydis implements ExecutionCondition, SkipExecutionHook {

  WithZydis() {}

  @Override
  public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
    return isMissing()
        ? ConditionEvaluationResult.disabled(PinnedZydis.whyNot().orElseThrow())
        : ConditionEvaluationResult.enabled("");
  }

  @Override
  public SkipResult shouldBeSkipped(LifecycleContext context) {
    return isMissing() ? SkipResult.skip(PinnedZydis.whyNot().orElseThrow()) : SkipResult.doNotSkip();
  }

  private static boolean isMissing() {
    return System.getProperty("xolotl.decoder") != null && PinnedZydis.whyNot().isPresent();
  }
}

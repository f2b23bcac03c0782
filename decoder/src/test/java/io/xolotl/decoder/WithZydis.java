package io.xolotl.decoder;

import io.xolotl.decoder.reference.PinnedZydis;
import net.jqwik.api.lifecycle.LifecycleContext;
import net.jqwik.api.lifecycle.SkipExecutionHook;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtensionContext;

/**
 * Skips tests, and says so, where they need the Zydis that the tables are made from and the build has none:
 * those of the reference always, others if they run with Zydis in place of the tables.
 */
public final class WithZydis implements ExecutionCondition, SkipExecutionHook {

  @Override
  public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
    String reason = why(context.getRequiredTestClass());
    return reason == null
        ? ConditionEvaluationResult.enabled("")
        : ConditionEvaluationResult.disabled(reason);
  }

  @Override
  public SkipResult shouldBeSkipped(LifecycleContext context) {
    String reason = why(context.optionalContainerClass().orElseThrow());
    return reason == null ? SkipResult.doNotSkip() : SkipResult.skip(reason);
  }

  private static @Nullable String why(Class<?> test) {
    boolean needed = test.getPackage().equals(PinnedZydis.class.getPackage())
        || System.getProperty("xolotl.decoder") != null;
    if (needed && !WithZydis.class.getModule().isNativeAccessEnabled()) {
      // The build runs it once more, with that and with Zydis in place of the tables.
      return "this JVM may not call Zydis";
    }
    return needed ? PinnedZydis.whyNot().orElse(null) : null;
  }
}

package io.xolotl.decoder.reference;

import java.util.Optional;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtensionContext;

/** Skips tests, and says so, that need the Zydis which the tables are made from, if the build has none. */
final class NeedsZydis implements ExecutionCondition {

  NeedsZydis() {}

  @Override
  public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
    if (!NeedsZydis.class.getModule().isNativeAccessEnabled()) {
      return ConditionEvaluationResult
          .disabled("this JVM may not call Zydis; the build runs another that may");
    }
    Optional<String> whyNot = PinnedZydis.whyNot();
    return whyNot.isPresent()
        ? ConditionEvaluationResult.disabled(whyNot.get())
        : ConditionEvaluationResult.enabled("");
  }
}

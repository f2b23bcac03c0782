package io.xolotl.xol;

import static org.assertj.core.api.Assertions.assertThat;

import io.xolotl.xol.code.LongMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.LongRange;
import net.jqwik.api.constraints.Size;

class LongMapProperties {

  /** Few different keys, so that they meet; their low bits are alike, as those of addresses are. */
  @Property
  void behavesLikeAMap(@ForAll @Size(max = 300) List<@LongRange(min = -60, max = 60) Long> operations) {
    var map = new LongMap<Long>();
    Map<Long, Long> model = new HashMap<>();
    for (int i = 0; i < operations.size(); i++) {
      long key = operations.get(i) << 12;
      if (i % 3 == 2) {
        map.remove(key);
        model.remove(key);
      } else {
        map.put(key, (long) i);
        model.put(key, (long) i);
      }
      assertThat(map.get(key)).isEqualTo(model.get(key));
    }
    assertThat(map.size()).isEqualTo(model.size());
    assertThat(map.values()).containsExactlyInAnyOrderElementsOf(model.values());
    model.forEach((key, value) -> assertThat(map.get(key)).isEqualTo(value));
  }
}

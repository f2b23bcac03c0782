package io.xolotl.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.StringWriter;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import org.junit.jupiter.api.Test;

class JsonWriterTest {

  @Property
  void anyStringComesBack(@ForAll String text) {
    assertThat(Cli.parse(JsonWriter.quoted(text)).textValue()).isEqualTo(text);
  }

  @Test
  void charactersThatMustBeEscapedAre() {
    assertThat(JsonWriter.quoted("\"\\\n\t\0\u001f\u007fé\ud83d\ude00\ud83d"))
        .isEqualTo("\"\\\"\\\\\\n\\t\\u0000\\u001f\\u007fé\ud83d\ude00\\ud83d\"");
  }

  @Test
  void nestedValuesAreSeparated() throws IOException {
    var out = new StringWriter();
    new JsonWriter(out).beginObject().name("a").beginArray().endArray().name("b").beginArray().value(1)
        .value((String) null).beginObject().endObject().beginObject().name("c").value("d").endObject()
        .endArray()
        .name("e").value(-1).endObject();
    assertThat(out).hasToString("{\"a\":[],\"b\":[1,null,{},{\"c\":\"d\"}],\"e\":-1}");
  }
}

package io.xolotl.cli;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * An object of a JSON document that somebody else may have written: whoever asks for a member says what it
 * must be.
 *
 * @param path where the object is in its document; empty for the document itself
 * @param members its members; values are objects of this class, lists, strings, finite doubles,
 *     booleans and null
 */
record JsonObject(String path, Map<String, @Nullable Object> members) {

  /** More than any document that is read here has. */
  private static final int MOST_LEVELS = 20;

  private static final JsonFactory STRICT = JsonFactory.builder()
      .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
      .streamReadConstraints(StreamReadConstraints.builder().maxNestingDepth(MOST_LEVELS).build()).build();

  /** A document is not what it should be. The message says in what. */
  static final class Unfit extends Exception {
    private static final long serialVersionUID = 1L;

    Unfit(String message) {
      super(message);
    }
  }

  /** Reads a document that is an object. */
  static JsonObject parse(byte[] document) throws Unfit {
    try (JsonParser parser = STRICT.createParser(document)) {
      if (parser.nextToken() != JsonToken.START_OBJECT) {
        throw new Unfit("it is no JSON object");
      }
      JsonObject object = object("", parser);
      if (parser.nextToken() != null) {
        throw new Unfit("something follows the JSON object");
      }
      return object;
    } catch (JsonProcessingException e) {
      throw new Unfit("it is no JSON: " + e.getOriginalMessage());
    } catch (IOException e) {
      // Bytes are always read; but not all bytes are characters.
      throw new Unfit("it is no JSON: " + e.getMessage());
    }
  }

  private static JsonObject object(String path, JsonParser parser) throws IOException, Unfit {
    var members = new LinkedHashMap<String, @Nullable Object>();
    while (parser.nextToken() != JsonToken.END_OBJECT) {
      String name = parser.currentName();
      parser.nextToken();
      members.put(name, value(path.isEmpty() ? name : path + "." + name, parser));
    }
    return new JsonObject(path, members);
  }

  private static List<@Nullable Object> list(String path, JsonParser parser) throws IOException, Unfit {
    var values = new ArrayList<@Nullable Object>();
    while (parser.nextToken() != JsonToken.END_ARRAY) {
      values.add(value(path + "[" + values.size() + "]", parser));
    }
    return values;
  }

  private static @Nullable Object value(String path, JsonParser parser) throws IOException, Unfit {
    return switch (parser.currentToken()) {
      case START_OBJECT -> object(path, parser);
      case START_ARRAY -> list(path, parser);
      case VALUE_NUMBER_INT, VALUE_NUMBER_FLOAT -> number(path, parser);
      case VALUE_TRUE, VALUE_FALSE -> parser.getBooleanValue();
      case VALUE_NULL -> null;
      default -> parser.getText();
    };
  }

  private static double number(String path, JsonParser parser) throws IOException, Unfit {
    double number = Double.parseDouble(parser.getText());
    if (Double.isInfinite(number)) {
      throw new Unfit(path + " is too large a number");
    }
    return number;
  }

  /** The names of all members. */
  Set<String> names() {
    return new TreeSet<>(members.keySet());
  }

  boolean isNull(String name) {
    return members.containsKey(name) && members.get(name) == null;
  }

  String text(String name) throws Unfit {
    return as(String.class, name, "string");
  }

  boolean flag(String name) throws Unfit {
    return as(Boolean.class, name, "boolean");
  }

  JsonObject object(String name) throws Unfit {
    return as(JsonObject.class, name, "object");
  }

  List<JsonObject> objects(String name) throws Unfit {
    return list(JsonObject.class, name, "objects");
  }

  List<Double> numbers(String name) throws Unfit {
    return list(Double.class, name, "numbers");
  }

  /** A whole number. */
  long number(String name, long least, long most) throws Unfit {
    double number = as(Double.class, name, "number");
    if (number != Math.rint(number) || number < least || number > most) {
      throw unfit(name, "is no whole number from " + least + " to " + most);
    }
    return (long) number;
  }

  private <T> List<T> list(Class<T> type, String name, String what) throws Unfit {
    var elements = new ArrayList<T>();
    for (Object element : as(List.class, name, "list of " + what)) {
      if (!type.isInstance(element)) {
        throw unfit(name, "is no list of " + what);
      }
      elements.add(type.cast(element));
    }
    return elements;
  }

  private <T> T as(Class<T> type, String name, String what) throws Unfit {
    Object value = members.get(name);
    if (!type.isInstance(value)) {
      throw unfit(name, members.containsKey(name) ? "is no " + what : "is missing");
    }
    return type.cast(value);
  }

  /** Why a member is not what it should be. */
  Unfit unfit(String name, String why) {
    return new Unfit((path.isEmpty() ? "" : path + ".") + name + " " + why);
  }
}

package io.xolotl.xol.linking;

import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaMember;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import java.io.IOException;
import java.lang.module.ModuleDescriptor;
import java.lang.reflect.Modifier;
import java.net.URI;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** The names of the API can be written in other languages of the JVM, and be imported all together. */
class ApiNamesTest {

  private static final List<String> PACKAGES = List.of("io.xolotl.decoder", "io.xolotl.ptrace",
      "io.xolotl.xol", "io.xolotl.lab", "io.xolotl.lab.arbitraries", "io.xolotl.lab.fuzzing",
      "io.xolotl.lab.generation", "io.xolotl.lab.oracle");

  /** Kotlin's hard keywords (kotlinlang.org/docs/keyword-reference.html): names only in backticks. */
  private static final Set<String> KOTLIN = Set.of("as", "break", "class", "continue", "do", "else", "false",
      "for", "fun", "if", "in", "interface", "is", "null", "object", "package", "return", "super", "this",
      "throw", "true", "try", "typealias", "typeof", "val", "var", "when", "while");

  private static final JavaClasses CLASSES = new ClassFileImporter()
      .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS).importPackages(PACKAGES);

  private static boolean isVisible(JavaClass type) {
    return PACKAGES.contains(type.getPackageName()) && type.getModifiers().contains(JavaModifier.PUBLIC)
        && type.getEnclosingClass().map(ApiNamesTest::isVisible).orElse(true);
  }

  private static boolean isVisible(JavaMember member) {
    return member.getModifiers().contains(JavaModifier.PUBLIC)
        || member.getModifiers().contains(JavaModifier.PROTECTED);
  }

  @Test
  void noMemberIsAKeywordOfKotlin() {
    List<String> members = CLASSES.stream().filter(ApiNamesTest::isVisible)
        .flatMap(type -> type.getMembers().stream()).filter(ApiNamesTest::isVisible)
        .map(JavaMember::getFullName).toList();
    assertThat(members).hasSizeGreaterThan(500)
        .filteredOn(name -> KOTLIN.contains(name.replaceAll("\\(.*", "").replaceAll(".*\\.", ""))).isEmpty();
  }

  /** {@code import module java.base}, and a star for each of our packages. */
  @Test
  void noTypeHasTheNameOfAnother() throws Exception {
    var packagesOf = new TreeMap<String, Set<String>>();
    CLASSES.stream().filter(ApiNamesTest::isVisible).filter(type -> type.getEnclosingClass().isEmpty())
        .forEach(type -> packagesOf.computeIfAbsent(type.getSimpleName(), _ -> new TreeSet<>())
            .add(type.getPackageName()));
    assertThat(packagesOf).hasSizeGreaterThan(80).containsKey("ProbedProcess");
    for (Class<?> type : typesOfTheJdk()) {
      packagesOf.computeIfPresent(type.getSimpleName(), (_, packages) -> {
        packages.add(type.getPackageName());
        return packages;
      });
    }
    assertThat(packagesOf).allSatisfy((name, packages) -> assertThat(packages).as(name).hasSize(1));
  }

  private static List<Class<?>> typesOfTheJdk() throws IOException, ClassNotFoundException {
    Path base = FileSystems.getFileSystem(URI.create("jrt:/")).getPath("modules/java.base");
    var types = new ArrayList<Class<?>>();
    for (ModuleDescriptor.Exports exports : Object.class.getModule().getDescriptor().exports()) {
      if (exports.isQualified()) {
        continue;
      }
      try (Stream<Path> files = Files.list(base.resolve(exports.source().replace('.', '/')))) {
        for (String file : files.map(path -> path.getFileName().toString()).toList()) {
          if (file.endsWith(".class") && !file.contains("$") && !file.contains("-")) {
            Class<?> type = Class.forName(exports.source() + "." + file.replace(".class", ""), false, null);
            if (Modifier.isPublic(type.getModifiers())) {
              types.add(type);
            }
          }
        }
      }
    }
    assertThat(types).contains(String.class, List.class);
    return types;
  }
}

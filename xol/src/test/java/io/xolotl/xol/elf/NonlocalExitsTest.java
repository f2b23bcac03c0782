package io.xolotl.xol.elf;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.xolotl.xol.elf.SymbolException.Reason;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** How code leaves several functions at once, and where it arrives; with names that tell and without. */
class NonlocalExitsTest {

  private static final List<String> STATIC = List.of("cleaning.c");

  @TempDir
  private Path directory;

  /** A file, and what it says. */
  private record Asked(ElfSource source, SymbolTable symbols, InstructionStarts starts) {

    static Asked of(Path file) {
      ElfSource source = Objects
          .requireNonNull(ElfSource.OnDisk.at("asked", null, file.toAbsolutePath().toString()));
      return of(source);
    }

    static Asked of(ElfSource source) {
      ElfImage image = ElfImage.of(source);
      SymbolTable symbols = image.symbols(source, null);
      return new Asked(source, symbols, symbols.starts(image, source));
    }

    List<NonlocalExit> exits() {
      return starts.nonlocalExits(source);
    }

    /** The function around each. */
    List<String> functions() {
      return exits().stream()
          .map(exit -> Objects.requireNonNull(symbols.functionContaining(exit.address())).names().getFirst())
          .toList();
    }

    long[] pads(String function) {
      SymbolTable.Code code = Objects
          .requireNonNull(symbols.functionAt(symbols.named(function).getFirst().address()));
      return LongStream.range(code.start(), code.end()).filter(at -> starts.isLandingPad(source, at))
          .toArray();
    }
  }

  @Test
  void areThoseOfLongjmpAndTheUnwinderInAStaticProgram() throws Exception {
    Path program = Toolchain.gcc(directory, "static", STATIC, "-static", "-fexceptions");
    Asked asked = Asked.of(program);
    assertThat(asked.functions()).anyMatch(name -> name.contains("longjmp"))
        .anyMatch(name -> name.equals("_Unwind_Resume"))
        .allMatch(name -> name.matches(".*longjmp.*|_Unwind_.*|.*setcontext"), "leaves functions");
    Toolchain.run("strip", program.toString());
    assertThat(Asked.of(program).exits()).containsAll(
        asked.exits().stream().filter(exit -> !exit.loaded()).toList());
  }

  @Test
  void areFoundIn32BitCode() throws Exception {
    try {
      Path program = Toolchain.gcc(directory, "static32", STATIC, "-static", "-fexceptions", "-m32");
      assertThat(Asked.of(program).functions()).anyMatch(name -> name.contains("longjmp"))
          .anyMatch(name -> name.equals("_Unwind_Resume"));
    } catch (IOException e) {
      assumeTrue(!e.getMessage().contains("-m32"), "there is no C library for 32-bit programs");
      throw e;
    }
  }

  /** As musl and LLVM end theirs, which are not installed. */
  @Test
  void areFoundHoweverTheyAreWritten() throws Exception {
    Path source = directory.resolve("exits.s");
    Files.writeString(source, """
        .text
        .globl musl, llvm, freeing, switching
        .type musl,@function
        musl: .cfi_startproc
        mov 48(%rdi), %rsp
        jmp *56(%rdi)
        .cfi_endproc
        .size musl,.-musl
        .type llvm,@function
        llvm: .cfi_startproc
        mov 56(%rdi), %rsp
        pop %rdi
        ret
        .cfi_endproc
        .size llvm,.-llvm
        .type freeing,@function
        freeing: .cfi_startproc
        mov %rsp, %rbx
        sub $64, %rsp
        mov %rbx, %rsp
        call llvm
        mov %rbp, %rsp
        pop %rbp
        ret
        .cfi_endproc
        .size freeing,.-freeing
        .data
        mov %r8, %rsp
        jmp *%rdx
        """);
    Path library = directory.resolve("exits.so");
    Toolchain.run("gcc", "-shared", "-nostdlib", "-o", library.toString(), source.toString());
    Asked asked = Asked.of(library);
    assertThat(asked.functions()).containsExactlyInAnyOrder("musl", "llvm");
    assertThat(asked.exits()).extracting(NonlocalExit::popped).containsExactlyInAnyOrder(0, 16);
    assertThat(asked.exits()).extracting(NonlocalExit::displacement).containsExactlyInAnyOrder(48L, 56L);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "-m32"})
  void arriveAtLandingPads(String flag) throws Exception {
    Path program;
    try {
      program = flag.isEmpty()
          ? Toolchain.gcc(directory, "cleaning", STATIC, "-fexceptions")
          : Toolchain.gcc(directory, "cleaning", STATIC, "-fexceptions", flag);
    } catch (IOException e) {
      assumeTrue(!e.getMessage().contains("-m32"), "there is no C library for 32-bit programs");
      throw e;
    }
    Asked asked = Asked.of(program);
    long[] pads = asked.pads("cleans");
    assertThat(pads).hasSize(1);
    assertThat(asked.pads("plain")).isEmpty();
    // Without sections, as the unwinder of the process reads it.
    byte[] bytes = Files.readAllBytes(program);
    ByteBuffer header = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    if (flag.isEmpty()) {
      header.putLong(40, 0).putInt(60, 0);
      Asked bare = Asked.of(new ElfSource.InMemory("bare", bytes));
      assertThat(bare.starts().isLandingPad(bare.source(), pads[0])).isTrue();
      assertThat(bare.starts().isLandingPad(bare.source(), pads[0] + 1)).isFalse();
    }
  }

  /** Code that is made of nothing but such places, in one function and in none. */
  @ParameterizedTest
  @ValueSource(strings = {"function", "none", "setcontext"})
  void areNotLookedForWithoutEnd(String kind) throws Exception {
    var code = new byte[1 << 24];
    byte[] place = kind.equals("setcontext")
        ? new byte[]{0x48, (byte) 0x8b, 0x20} // mov (%rax), %rsp
        : new byte[]{0x48, (byte) 0x89, (byte) 0xc4, (byte) 0xff, (byte) 0xe0}; // mov %rax, %rsp; jmp *%rax
    for (int i = 0; i + place.length <= code.length; i += place.length) {
      System.arraycopy(place, 0, code, i, place.length);
    }
    Path blob = Files.write(directory.resolve("blob"), code);
    Path source = Files.writeString(directory.resolve("blob.s"), ".text\n.globl " + kind + "\n"
        + (kind.equals("none") ? "" : ".type " + kind + ",@function\n") + kind + ": .incbin \"" + blob
        + "\"\n" + (kind.equals("none") ? "" : ".size " + kind + ",.-" + kind + "\n"));
    Path library = directory.resolve("blob.so");
    Toolchain.run("gcc", "-shared", "-nostdlib", "-o", library.toString(), source.toString());
    assertThat(Asked.of(library).exits()).hasSizeLessThanOrEqualTo(256);
  }

  /** The tables may be anyone's: whatever they say, the answer is one, or that the file is malformed. */
  @Test
  void believeNoTable() throws Exception {
    byte[] bytes = Files.readAllBytes(Toolchain.gcc(directory, "cleaning", STATIC, "-fexceptions"));
    Asked intact = Asked.of(new ElfSource.InMemory("intact", bytes));
    ElfImage image = ElfImage.of(intact.source());
    long pad = intact.pads("cleans")[0];
    var random = new Random(1);
    int answers = 0;
    for (String name : List.of(".gcc_except_table", ".eh_frame", ".text")) {
      Section section = Objects.requireNonNull(image.loadedSection(name));
      for (int i = 0; i < 1000; i++) {
        byte[] damaged = bytes.clone();
        for (int j = 0; j < 3; j++) {
          damaged[(int) (section.offset() + random.nextLong(section.size()))] = (byte) random.nextInt();
        }
        try {
          Asked asked = Asked.of(new ElfSource.InMemory("damaged", damaged));
          asked.starts().isLandingPad(asked.source(), pad);
          asked.exits();
          answers++;
        } catch (SymbolException e) {
          assertThat(e.reason()).isEqualTo(Reason.ELF_MALFORMED);
        }
      }
    }
    assertThat(answers).isGreaterThan(1000);
  }
}

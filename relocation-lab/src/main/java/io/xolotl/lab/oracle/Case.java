package io.xolotl.lab.oracle;

import io.xolotl.decoder.DecodedInstruction;
import io.xolotl.decoder.Decoder;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.zip.Deflater;
import java.util.zip.DeflaterOutputStream;
import java.util.zip.InflaterInputStream;
import org.jspecify.annotations.Nullable;

/**
 * One or a few instructions, one behind the other, and the state from which they are executed. Immutable.
 */
public final class Case {

  /** Start of the area for code below 4 GiB; {@link #AREA_BYTES} long. */
  public static final long LOW_CODE = Region.LOW_CODE;
  /** Start of the area for code above 4 GiB; {@link #AREA_BYTES} long. */
  public static final long HIGH_CODE = Region.HIGH_CODE;
  /** The size of each of the two areas for code. */
  public static final int AREA_BYTES = 0x2_0000;
  /** What a case may occupy: code of two cases that run together is at least this far apart. */
  public static final int CELL_BYTES = 0x200;
  /** How many bytes all instructions of a case may have. */
  public static final int MOST_BYTES = 0x80;

  /** What the first instruction is preceded by at least, so that short branches stay in the cell. */
  private static final int MARGIN = 0x80;

  private final long address;
  private final List<byte[]> instructions;
  private final MachineState state;
  private final boolean systemCalls;

  private Case(long address, List<byte[]> instructions, MachineState state, boolean systemCalls) {
    this.address = address;
    this.instructions = instructions;
    this.state = state;
    this.systemCalls = systemCalls;
  }

  /**
   * {@return an instruction, in the area for code above 4 GiB}
   *
   * @param instruction its bytes
   * @param state from which it is executed
   */
  public static Case of(byte[] instruction, MachineState state) {
    return of(List.of(instruction), state);
  }

  /**
   * {@return a case of instructions, one behind the other, in the area for code above 4 GiB}
   *
   * @param instructions the bytes of each
   * @param state from which they are executed
   * @throws IllegalArgumentException if there is none, one is longer than 15 bytes, or all together are
   *     longer than {@link #MOST_BYTES}
   */
  public static Case of(List<byte[]> instructions, MachineState state) {
    List<byte[]> copies = instructions.stream().map(byte[]::clone).toList();
    int length = copies.stream().mapToInt(bytes -> bytes.length).sum();
    if (length > MOST_BYTES || copies.isEmpty()
        || copies.stream().anyMatch(bytes -> bytes.length == 0 || bytes.length > 15)) {
      throw new IllegalArgumentException(
          "no instructions: " + copies.stream().map(HexFormat.of()::formatHex).toList());
    }
    return new Case(HIGH_CODE + MARGIN, copies, state, false);
  }

  /**
   * {@return the same at another address}
   *
   * @param replacement of the first instruction, in the area for code below or above 4 GiB, and at least 0x80
   *     from the area's beginning and 0x180 from its end
   */
  public Case at(long replacement) {
    if (!isCode(replacement - MARGIN) || !isCode(replacement + CELL_BYTES - MARGIN - 1)) {
      throw new IllegalArgumentException("no place for code: " + Hex.of(replacement));
    }
    return new Case(replacement, instructions, state, systemCalls);
  }

  private static boolean isCode(long address) {
    return address >= LOW_CODE && address < LOW_CODE + AREA_BYTES
        || address >= HIGH_CODE && address < HIGH_CODE + AREA_BYTES;
  }

  /**
   * {@return the same from another state}
   *
   * @param replacement what it has instead
   */
  public Case with(MachineState replacement) {
    return new Case(address, instructions, replacement, systemCalls);
  }

  /**
   * {@return the same with other instructions}
   *
   * @param replacement what it has instead
   */
  public Case with(List<byte[]> replacement) {
    return new Case(address, of(replacement, state).instructions, state, systemCalls);
  }

  /**
   * {@return the same, with system calls that the code makes} Otherwise each of them raises SIGSYS and
   * nothing happens. The code must make none that would damage the process that runs it, or wait.
   */
  public Case withSystemCalls() {
    return new Case(address, instructions, state, true);
  }

  /** {@return the address of the first instruction} */
  public long address() {
    return address;
  }

  /** {@return the bytes of each instruction} */
  public List<byte[]> instructions() {
    return instructions.stream().map(byte[]::clone).toList();
  }

  /** {@return the bytes of all instructions} */
  public byte[] code() {
    byte[] code = new byte[length()];
    int length = 0;
    for (byte[] instruction : instructions) {
      System.arraycopy(instruction, 0, code, length, instruction.length);
      length += instruction.length;
    }
    return code;
  }

  int length() {
    return instructions.stream().mapToInt(bytes -> bytes.length).sum();
  }

  /** {@return the address of each instruction} */
  public List<Long> addresses() {
    var addresses = new ArrayList<Long>();
    long next = address;
    for (byte[] instruction : instructions) {
      addresses.add(next);
      next += instruction.length;
    }
    return addresses;
  }

  /** {@return from which state the code is executed} */
  public MachineState state() {
    return state;
  }

  /** {@return true if the code's system calls are made} */
  public boolean systemCalls() {
    return systemCalls;
  }

  /** {@return the instructions as an assembler would write them, one behind the other} */
  public String text() {
    var texts = new ArrayList<String>();
    List<Long> addresses = addresses();
    for (int i = 0; i < instructions.size(); i++) {
      texts.add(Decoder.forThisCpu().decode(instructions.get(i),
          addresses.get(i)) instanceof DecodedInstruction instruction
              ? instruction.text()
              : "(bad)");
    }
    return String.join("; ", texts);
  }

  /** {@return all of the case in one word of letters, digits, - and _, which {@link #parse} takes} */
  public String token() {
    var bytes = new ByteArrayOutputStream();
    var deflater = new Deflater(Deflater.BEST_COMPRESSION);
    try (var out = new DataOutputStream(new DeflaterOutputStream(bytes, deflater))) {
      out.writeLong(address);
      out.writeBoolean(systemCalls);
      out.writeByte(instructions.size());
      for (byte[] instruction : instructions) {
        out.writeByte(instruction.length);
        out.write(instruction);
      }
      for (int i = 0; i < MachineState.GENERAL.size(); i++) {
        out.writeLong(state.general(i));
      }
      out.writeLong(state.flags());
      out.writeLong(state.fsBase());
      out.writeLong(state.gsBase());
      out.write(state.vectors().content());
      for (Region region : Region.values()) {
        if (region.isWritable()) {
          out.write(state.memory(region));
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } finally {
      deflater.end();
    }
    return Base64.getUrlEncoder().withoutPadding().encodeToString(bytes.toByteArray());
  }

  /**
   * {@return the case that a {@link #token} stands for}
   *
   * @param token what {@link #token} has returned
   * @throws IllegalArgumentException if it stands for none
   */
  public static Case parse(String token) {
    try (var in = new DataInputStream(
        new InflaterInputStream(new ByteArrayInputStream(Base64.getUrlDecoder().decode(token))))) {
      long address = in.readLong();
      boolean systemCalls = in.readBoolean();
      var instructions = new ArrayList<byte[]>();
      for (int count = in.readUnsignedByte(); count > 0; count--) {
        instructions.add(in.readNBytes(in.readUnsignedByte()));
      }
      MachineState state = MachineState.PLAIN;
      for (int i = 0; i < MachineState.GENERAL.size(); i++) {
        state = state.withGeneral(i, in.readLong());
      }
      state = state.withFlags(in.readLong()).withBases(in.readLong(), in.readLong());
      state = state.withVectors(
          VectorRegisters.ofContent(in.readNBytes(VectorRegisters.INITIAL.content().length)));
      for (Region region : Region.values()) {
        if (region.isWritable()) {
          state = state.withMemory(region, in.readNBytes(Region.BYTES));
        }
      }
      Case parsed = of(instructions, state).at(address);
      return systemCalls ? parsed.withSystemCalls() : parsed;
    } catch (IOException | IllegalArgumentException e) {
      throw new IllegalArgumentException("'" + token + "' is not the token of a case", e);
    }
  }

  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof Case that && address == that.address && systemCalls == that.systemCalls
        && Arrays.deepEquals(instructions.toArray(), that.instructions.toArray()) && state.equals(that.state);
  }

  @Override
  public int hashCode() {
    return Arrays.deepHashCode(instructions.toArray()) * 31 + state.hashCode();
  }

  /** Address, bytes, assembly and state. */
  @Override
  public String toString() {
    return Hex.of(address) + ": "
        + String.join(" ", instructions.stream().map(HexFormat.ofDelimiter(" ")::formatHex).toList()) + "   "
        + text()
        + "\n  from " + state;
  }
}

package org.lanewise.encoder.backend;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Map;
import java.util.TreeMap;

/**
 * A processor with AMX, of the few instructions that {@link MachineCode} has for it: what runs the
 * code's bytes on machines that cannot. Written from the Intel 64 and IA-32 Architectures Software
 * Developer's Manual, volume 2. Whatever it does not know, or that touches memory it was not given,
 * is an error.
 */
final class TileProcessor {
  private static final int RSP = 4;
  private static final int RDI = 7;
  private static final long STACK = 0x7000_0000_0000L;
  private static final long RETURN = -1;

  /** Memory by its lowest address. */
  private final TreeMap<Long, ByteBuffer> memory = new TreeMap<>();

  private final long[] registers = new long[16];
  private final ByteBuffer[] tiles = new ByteBuffer[8];

  /** The rows of each tile. */
  private final int[] tileRows = new int[8];

  private final ByteBuffer code;
  private final long codeAt = 0x1000_0000L;
  private boolean configured;
  private boolean zero;
  private boolean below;

  /** Whether what was subtracted from was the lesser, both with their signs. */
  private boolean less;

  private int at;

  /** The REX or VEX bits of the instruction. */
  private int extendReg;

  private int extendIndex;
  private int extendBase;

  TileProcessor(byte[] code) {
    this.code = ByteBuffer.wrap(code).order(ByteOrder.LITTLE_ENDIAN);
    memory.put(codeAt, this.code.asReadOnlyBuffer().order(ByteOrder.LITTLE_ENDIAN));
    memory.put(STACK, allocate(4096));
  }

  static ByteBuffer allocate(int bytes) {
    return ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  /** Gives the code memory, far from any other, and returns its address. */
  long map(ByteBuffer bytes) {
    long address = memory.size() * 0x100_0000_0000L;
    memory.put(address, bytes);
    return address;
  }

  /** Returns where the function at an offset lies. */
  long address(int offset) {
    return codeAt + offset;
  }

  /** Calls the function at an offset with one argument; what it must preserve is checked. */
  void call(int offset, long argument) {
    for (int i = 0; i < 16; i++) {
      registers[i] = 0xABCD_0000L + i;
    }
    registers[RSP] = STACK + 2048;
    registers[RDI] = argument;
    push(RETURN);
    long[] before = registers.clone();
    at = offset;
    while (at != RETURN) {
      step();
    }
    for (int preserved : new int[] {3, 5, 12, 13, 14, 15}) {
      check(registers[preserved] == before[preserved], "register " + preserved + " is lost");
    }
    check(registers[RSP] == before[RSP] + 8, "the stack pointer is lost");
    check(!configured, "tiles are not released");
  }

  private void check(boolean holds, String what) {
    if (!holds) {
      throw new IllegalStateException(what + " at " + Integer.toHexString(at));
    }
  }

  private int next() {
    return code.get(at++) & 0xFF;
  }

  private int nextInt() {
    at += 4;
    return code.getInt(at - 4);
  }

  private void step() {
    int first = next();
    if (first == 0xC4) {
      vector();
      return;
    }
    boolean wide = false;
    extendReg = 0;
    extendIndex = 0;
    extendBase = 0;
    if ((first & 0xF0) == 0x40) {
      wide = (first & 8) != 0;
      extendReg = (first & 4) << 1;
      extendIndex = (first & 2) << 2;
      extendBase = (first & 1) << 3;
      first = next();
    }
    integer(first, wide);
  }

  private void integer(int operation, boolean wide) {
    if (operation >= 0x50 && operation < 0x58) {
      push(registers[operation - 0x50 + extendBase]);
    } else if (operation >= 0x58 && operation < 0x60) {
      registers[operation - 0x58 + extendBase] = pop();
    } else if (operation >= 0xB8 && operation < 0xC0 && !wide) {
      registers[operation - 0xB8 + extendBase] = nextInt() & 0xFFFFFFFFL;
    } else {
      switch (operation) {
        case 0xC3 -> at = (int) pop();
        case 0xE9 -> jump(true, nextInt());
        case 0xEB -> jump(true, (byte) next());
        case 0x72 -> jump(below, (byte) next());
        case 0x73 -> jump(!below, (byte) next());
        case 0x76 -> jump(below || zero, (byte) next());
        case 0x74 -> jump(zero, (byte) next());
        case 0x75 -> jump(!zero, (byte) next());
        case 0x0F -> ofTwoBytes(next());
        default -> {
          check(wide || operation == 0xFF || operation == 0x88, "an instruction of 32 bits");
          withOperand(operation);
        }
      }
    }
  }

  private void ofTwoBytes(int operation) {
    if (operation == 0x18) {
      operand(0); // a prefetch, of whatever is there
    } else {
      farJump(operation);
    }
  }

  private void farJump(int condition) {
    int distance = nextInt();
    switch (condition) {
      case 0x82 -> jump(below, distance);
      case 0x83 -> jump(!below, distance);
      case 0x86 -> jump(below || zero, distance);
      case 0x8F -> jump(!zero && !less, distance);
      case 0x84 -> jump(zero, distance);
      case 0x85 -> jump(!zero, distance);
      default -> throw new IllegalStateException("0F " + Integer.toHexString(condition));
    }
  }

  private void jump(boolean jumps, int distance) {
    at += jumps ? distance : 0;
  }

  private void withOperand(int operation) {
    Operand operand =
        operand(operation == 0x81 ? 4 : operation == 0x83 || operation == 0xC1 ? 1 : 0);
    int reg = operand.reg();
    switch (operation) {
      case 0x8B -> registers[reg] = operand.get();
      case 0x89 -> operand.set(registers[reg]);
      case 0x88 -> buffer(operand.address, 1).put(0, (byte) registers[reg]);
      case 0x8D -> registers[reg] = operand.address;
      case 0x01 -> operand.set(flags(operand.get() + registers[reg]));
      case 0x03 -> registers[reg] = flags(registers[reg] + operand.get());
      case 0x85 -> flags(operand.get() & registers[reg]);
      case 0xC1 -> {
        check((reg & 7) == 4, "not shl");
        operand.set(flags(operand.get() << next()));
      }
      case 0x81 -> arithmetic(reg & 7, operand, nextInt());
      case 0x83 -> arithmetic(reg & 7, operand, (byte) next());
      case 0xFF -> {
        if ((reg & 7) == 6) {
          push(operand.get());
        } else if ((reg & 7) == 2) {
          push(at);
          at = (int) (operand.get() - codeAt);
        } else {
          check((reg & 7) == 1, "not dec");
          operand.set(flags(operand.get() - 1));
        }
      }
      default -> throw new IllegalStateException("operation " + Integer.toHexString(operation));
    }
  }

  private void arithmetic(int which, Operand operand, long immediate) {
    long value = operand.get();
    switch (which) {
      case 0 -> operand.set(flags(value + immediate));
      case 4 -> operand.set(flags(value & immediate));
      case 5 -> {
        operand.set(flags(value - immediate));
        less = value < immediate;
      }
      case 7 -> {
        flags(value - immediate);
        below = Long.compareUnsigned(value, immediate) < 0;
      }
      default -> throw new IllegalStateException("arithmetic " + which);
    }
  }

  private long flags(long result) {
    zero = result == 0;
    below = false;
    return result;
  }

  /** A register, if {@code address} is 0, or memory. */
  private final class Operand {
    private final int reg;
    private final int register;
    private final long address;

    Operand(int reg, int register, long address) {
      this.reg = reg;
      this.register = register;
      this.address = address;
    }

    int reg() {
      return reg;
    }

    long get() {
      return address == 0 ? registers[register] : buffer(address, 8).getLong(0);
    }

    void set(long value) {
      if (address == 0) {
        registers[register] = value;
      } else {
        buffer(address, 8).putLong(0, value);
      }
    }
  }

  /** The stride of the last operand that had an index register. */
  private long stride;

  private Operand operand(int bytesThatFollow) {
    int modRm = next();
    int mod = modRm >> 6;
    int reg = (modRm >> 3 & 7) + extendReg;
    int rm = modRm & 7;
    if (mod == 3) {
      return new Operand(reg, rm + extendBase, 0);
    }
    long address;
    if (rm == 4) {
      int sib = next();
      int index = (sib >> 3 & 7) + extendIndex;
      stride = index == 4 ? 0 : registers[index] << (sib >> 6);
      check(mod != 0 || (sib & 7) != 5, "no base");
      address = registers[(sib & 7) + extendBase];
    } else if (mod == 0 && rm == 5) {
      int distance = nextInt();
      return new Operand(reg, 0, codeAt + at + bytesThatFollow + distance);
    } else {
      stride = 0;
      address = registers[rm + extendBase];
    }
    int distance = mod == 1 ? (byte) next() : mod == 2 ? nextInt() : 0;
    return new Operand(reg, 0, address + distance);
  }

  private ByteBuffer buffer(long address, int bytes) {
    Map.Entry<Long, ByteBuffer> entry = memory.floorEntry(address);
    check(entry != null, "no memory");
    long offset = address - entry.getKey();
    check(offset + bytes <= entry.getValue().limit(), "memory beyond its end");
    return entry.getValue().slice((int) offset, bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  private void push(long value) {
    registers[RSP] -= 8;
    buffer(registers[RSP], 8).putLong(0, value);
  }

  private long pop() {
    long value = buffer(registers[RSP], 8).getLong(0);
    registers[RSP] += 8;
    return value;
  }

  private void vector() {
    int one = next();
    int two = next();
    int operation = next();
    check((one & 0x1F) == 2 && (two & 0x84) == 0, "not an instruction on tiles");
    extendReg = (~one & 0x80) >> 4;
    extendIndex = (~one & 0x40) >> 3;
    extendBase = (~one & 0x20) >> 2;
    int right = ~(two >> 3) & 0xF;
    int prefix = two & 3;
    Operand operand = operand(0);
    switch (operation << 4 | prefix) {
      case 0x490 -> {
        if (operand.address == 0) {
          configured = false;
        } else {
          configure(buffer(operand.address, 64));
        }
      }
      case 0x493 -> tile(operand.reg).put(0, new byte[1024]);
      case 0x4B3, 0x4B1 -> move(operand, true);
      case 0x4B2 -> move(operand, false);
      case 0x5C2 -> {
        int rows = tileRows[operand.reg];
        check(rows == tileRows[operand.register], "rows of sums and of the left side differ");
        check(tileRows[right] == 16, "a right side of fewer steps than the left side has");
        bf16(rows, tile(operand.reg), tile(operand.register), tile(right));
      }
      default -> throw new IllegalStateException(Integer.toHexString(operation << 4 | prefix));
    }
  }

  private void configure(ByteBuffer shapes) {
    check(shapes.get(0) == 1 && shapes.get(1) == 0, "the palette");
    for (int i = 0; i < 8; i++) {
      tileRows[i] = shapes.get(48 + i);
      check(shapes.getShort(16 + 2 * i) == 64, "a tile's row");
      check(tileRows[i] > 0 && tileRows[i] <= 16, "a tile's rows");
      tiles[i] = allocate(1024);
    }
    configured = true;
  }

  private ByteBuffer tile(int i) {
    check(configured, "tiles are not configured");
    return tiles[i];
  }

  private void move(Operand operand, boolean load) {
    ByteBuffer tile = tile(operand.reg);
    for (int row = 0; row < tileRows[operand.reg]; row++) {
      ByteBuffer bytes = buffer(operand.address + row * stride, 64);
      ByteBuffer part = tile.slice(row * 64, 64);
      if (load) {
        part.put(bytes);
      } else {
        bytes.put(part);
      }
    }
  }

  private static void bf16(int rows, ByteBuffer sums, ByteBuffer left, ByteBuffer right) {
    for (int row = 0; row < rows; row++) {
      for (int column = 0; column < 16; column++) {
        float sum = sums.getFloat(row * 64 + column * 4);
        for (int k = 0; k < 32; k++) {
          sum +=
              widen(left.getShort(row * 64 + k * 2))
                  * widen(right.getShort(k / 2 * 64 + column * 4 + k % 2 * 2));
        }
        sums.putFloat(row * 64 + column * 4, sum);
      }
    }
  }

  private static float widen(short bits) {
    return Float.intBitsToFloat(bits << 16);
  }
}

package org.lanewise.encoder.backend;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.lanewise.encoder.backend.MachineCode.Function;
import org.lanewise.encoder.batch.PackedBatch;

final class MachineCodeTest {
  private static final Path LISTING = Path.of("src/main/assembly/products.s");
  private static final int PANEL = ProductCall.PANEL;

  /** Bytes of what a product is told. */
  private static final int PARAMETERS = 12 * 8;

  private static final int PAGE = 4096;

  private final Random random = new Random(7);

  @Test
  void theBytesAreTheAssembledListing(@TempDir Path directory)
      throws IOException, InterruptedException {
    assumeTrue(found("as") && found("objcopy") && found("nm"), "binutils are not installed");
    Path object = directory.resolve("products.o");
    Path code = directory.resolve("products.bin");
    run("as", LISTING.toString(), "-o", object.toString());
    run("objcopy", "-O", "binary", "-j", ".text", object.toString(), code.toString());
    assertArrayEquals(Files.readAllBytes(code), MachineCode.bytes());
    String symbols = run("nm", object.toString());
    for (Function function : Function.values()) {
      String symbol =
          String.format(
              Locale.ROOT,
              "%016x t %s\n",
              function.offset(),
              function.name().toLowerCase(Locale.ROOT));
      assertTrue(symbols.contains(symbol), () -> symbol + " is not in\n" + symbols);
    }
  }

  private static boolean found(String program) throws InterruptedException {
    try {
      return new ProcessBuilder(program, "--version").start().waitFor() == 0;
    } catch (IOException e) {
      return false;
    }
  }

  private static String run(String... command) throws IOException, InterruptedException {
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), output);
    return output;
  }

  /** The sides of a product and what it is, as the functions take and give them. */
  private final class Product {
    private final Precision precision;
    private final int rows;
    private final int depthBytes;
    private final int panels;
    private final byte[] left;
    private final byte[] right;

    Product(Precision precision, int rows, int depthBytes, int panels) {
      this.precision = precision;
      this.rows = rows;
      this.depthBytes = depthBytes;
      this.panels = panels;
      left = bytes(rows * depthBytes);
      right = bytes(panels * PANEL * depthBytes);
    }

    private byte[] bytes(int count) {
      byte[] bytes = new byte[count];
      random.nextBytes(bytes);
      ByteBuffer numbers = ByteBuffer.wrap(bytes).order(ByteOrder.nativeOrder());
      for (int i = 0; i < count && precision != Precision.INT8; i += width()) {
        float number = (float) random.nextGaussian();
        if (precision == Precision.FP32) {
          numbers.putFloat(i, number);
        } else {
          numbers.putShort(i, (short) BFloat16.bits(number));
        }
      }
      return bytes;
    }

    /** The four bytes of a column at a step of the depth, times those of a row. */
    private double dot(int row, int column, int step) {
      ByteBuffer lefts = TileProcessor.allocate(4).put(left, row * depthBytes + 4 * step, 4);
      int at = column / PANEL * PANEL * depthBytes + step * 4 * PANEL + column % PANEL * 4;
      ByteBuffer rights = TileProcessor.allocate(4).put(right, at, 4);
      double sum = 0;
      for (int i = 0; i < 4; i += width()) {
        sum +=
            switch (precision) {
              case FP32 -> (double) lefts.getFloat(i) * rights.getFloat(i);
              case BF16 ->
                  (double) Float.intBitsToFloat(lefts.getShort(i) << 16)
                      * Float.intBitsToFloat(rights.getShort(i) << 16);
              case INT8 -> lefts.get(i) * (rights.get(i) & 0xFF);
            };
      }
      return sum;
    }

    private int width() {
      return switch (precision) {
        case FP32 -> 4;
        case BF16 -> 2;
        case INT8 -> 1;
      };
    }

    /**
     * Checks that the output is the start, the same for all rows, and so many times the product.
     */
    void assertIs(int[] start, int times, ByteBuffer output) {
      for (int row = 0; row < rows; row++) {
        for (int column = 0; column < panels * PANEL; column++) {
          double expected = 0;
          boolean int8 = precision == Precision.INT8;
          double first = int8 ? start[column] : Float.intBitsToFloat(start[column]);
          for (int step = 0; step < depthBytes / 4; step++) {
            expected += dot(row, column, step);
          }
          int at = (row * panels * PANEL + column) * 4;
          double actual = int8 ? output.getInt(at) : output.getFloat(at);
          assertEquals(
              first + times * expected,
              actual,
              int8 ? 0 : 1e-4,
              "row " + row + ", column " + column);
        }
      }
    }

    /** The left side with all rows of a step side by side. */
    byte[] leftBySteps() {
      ByteBuffer turned = ByteBuffer.allocate(left.length);
      for (int step = 0; step < depthBytes / 4; step++) {
        for (int row = 0; row < rows; row++) {
          turned.put(left, row * depthBytes + 4 * step, 4);
        }
      }
      return turned.array();
    }

    void parameters(
        ByteBuffer parameters,
        long leftAt,
        boolean bySteps,
        long rightAt,
        long startAt,
        long startBytes,
        long outputAt) {
      long[] values = {
        leftAt,
        bySteps ? 4 : depthBytes,
        rightAt,
        (long) PANEL * depthBytes,
        depthBytes / 4,
        outputAt,
        4L * panels * PANEL,
        rows,
        panels,
        startAt,
        startBytes,
        bySteps ? 4L * rows : 4
      };
      for (int i = 0; i < values.length; i++) {
        parameters.putLong(8 * i, values[i]);
      }
    }

    int outputBytes() {
      return rows * panels * PANEL * 4;
    }
  }

  @Test
  void tilesMultiply() {
    for (int rows : new int[] {1, 15, 16, 17, 32, 33, 63, 80}) {
      for (int depthBytes : new int[] {64, 192}) {
        for (int panels : new int[] {1, 3}) {
          Product product = new Product(Precision.BF16, rows, depthBytes, panels);
          TileProcessor processor = new TileProcessor(MachineCode.bytes());
          long left =
              processor.map(TileProcessor.allocate(product.left.length).put(0, product.left));
          long right =
              processor.map(TileProcessor.allocate(product.right.length).put(0, product.right));
          ByteBuffer output = TileProcessor.allocate(product.outputBytes());
          long outputAt = processor.map(output);
          int[] start = starts(product);
          ByteBuffer startBytes = TileProcessor.allocate(4 * start.length);
          startBytes.asIntBuffer().put(start);
          long startAt = processor.map(startBytes);
          ByteBuffer parameters = TileProcessor.allocate(PARAMETERS);
          long parametersAt = processor.map(parameters);
          product.parameters(parameters, left, false, right, 0, 0, outputAt);
          processor.call(Function.TILE_BF16.offset(), parametersAt);
          product.assertIs(new int[start.length], 1, output);
          product.parameters(parameters, left, false, right, startAt, 0, outputAt);
          processor.call(Function.TILE_BF16.offset(), parametersAt);
          product.assertIs(start, 1, output);
          long rowBytes = 4L * panels * PANEL;
          product.parameters(parameters, left, false, right, outputAt, rowBytes, outputAt);
          processor.call(Function.TILE_BF16.offset(), parametersAt);
          product.assertIs(start, 2, output);
        }
      }
    }
  }

  @Test
  void tilesMultiplyOneAfterTheOther() {
    Product product = new Product(Precision.BF16, 64, 192, 2);
    TileProcessor processor = new TileProcessor(MachineCode.bytes());
    long left = processor.map(TileProcessor.allocate(product.left.length).put(0, product.left));
    long right = processor.map(TileProcessor.allocate(product.right.length).put(0, product.right));
    ByteBuffer output = TileProcessor.allocate(product.outputBytes());
    long outputAt = processor.map(output);
    ByteBuffer first = TileProcessor.allocate(PARAMETERS);
    product.parameters(first, left, false, right, 0, 0, outputAt);
    ByteBuffer second = TileProcessor.allocate(PARAMETERS);
    long rowBytes = 4L * product.panels * PANEL;
    product.parameters(second, left, false, right, outputAt, rowBytes, outputAt);
    long block = processor.address(Function.TILE_BLOCK.offset());
    ByteBuffer calls = TileProcessor.allocate(40).putLong(0, 2);
    calls.putLong(8, block).putLong(16, processor.map(first));
    calls.putLong(24, block).putLong(32, processor.map(second));
    processor.call(Function.TILE_CALLS.offset(), processor.map(calls));
    product.assertIs(new int[product.panels * PANEL], 2, output);
  }

  /** Whole numbers for the columns of a product, as its precision sums them. */
  private int[] starts(Product product) {
    int[] start = random.ints((long) product.panels * PANEL, -9, 9).toArray();
    if (product.precision != Precision.INT8) {
      Arrays.setAll(start, i -> Float.floatToRawIntBits(start[i]));
    }
    return start;
  }

  private static Precision precision(Function function) {
    String name = function.name();
    return Precision.valueOf(name.substring(name.indexOf('_') + 1));
  }

  /** On this machine's processor, everything at the very end of its memory. */
  @ParameterizedTest
  @EnumSource(
      value = Function.class,
      names = {"DOT_INT8", "DOT_BF16", "DOT_FP32", "TILE_BF16"})
  void productsStayInTheirMemory(Function function) {
    boolean tiles = function.name().startsWith("TILE");
    assumeTrue(MachineCode.written(), "machine code is for Linux on x86-64");
    MatrixUnit.Facts facts = MatrixUnit.facts();
    boolean there =
        switch (function) {
          case DOT_INT8 -> facts.avx512Int8();
          case DOT_BF16 -> facts.avx512Bf16();
          case TILE_BF16 -> facts.amxBf16();
          default -> facts.missing().isEmpty();
        };
    assumeTrue(there, "this processor has no " + function);
    int step = tiles ? 1 : 4;
    int most = tiles ? 70 : 28;
    for (int rows = step; rows <= most; rows += step) {
      for (int depthBytes : new int[] {64, 128, 448}) {
        for (int panels : new int[] {1, 2}) {
          Product product = new Product(precision(function), rows, depthBytes, panels);
          MemorySegment left = guarded(product.left);
          MemorySegment right = guarded(product.right);
          MemorySegment output = guarded(new byte[product.outputBytes()]);
          MemorySegment parameters = guarded(new byte[PARAMETERS]);
          ByteBuffer values = parameters.asByteBuffer().order(ByteOrder.nativeOrder());
          ByteBuffer numbers = output.asByteBuffer().order(ByteOrder.nativeOrder());
          MemorySegment code = MatrixUnit.code().address(function);
          int[] zeros = new int[panels * PANEL];
          long rightAt = right.address();
          long outputAt = output.address();
          product.parameters(values, left.address(), false, rightAt, 0, 0, outputAt);
          MachineCode.call(code, parameters);
          product.assertIs(zeros, 1, numbers);
          long rowBytes = 4L * panels * PANEL;
          product.parameters(values, left.address(), false, rightAt, outputAt, rowBytes, outputAt);
          MachineCode.call(code, parameters);
          product.assertIs(zeros, 2, numbers);
          int[] start = starts(product);
          ByteBuffer startBytes =
              ByteBuffer.allocate(4 * start.length).order(ByteOrder.nativeOrder());
          startBytes.asIntBuffer().put(start);
          MemorySegment starts = guarded(startBytes.array());
          MemorySegment lefts = tiles ? left : guarded(product.leftBySteps());
          long startAt = starts.address();
          product.parameters(values, lefts.address(), !tiles, rightAt, startAt, 0, outputAt);
          MachineCode.call(code, parameters);
          product.assertIs(start, 1, numbers);
        }
      }
    }
  }

  /** Source and target at the very end of their memory. */
  @Test
  void rowsAndColumnsAreTurned() {
    assumeTrue(MachineCode.written(), "machine code is for Linux on x86-64");
    assumeTrue(MatrixUnit.facts().missing().isEmpty(), "this processor has no AVX-512");
    for (int rows : new int[] {16, 48}) {
      for (int columns : new int[] {16, 32, 48}) {
        byte[] content = new byte[rows * columns * 4];
        random.nextBytes(content);
        MemorySegment source = guarded(content);
        MemorySegment target = guarded(new byte[content.length]);
        call(
            Function.TURN,
            source.address(),
            4L * columns,
            rows,
            columns,
            target.address(),
            4L * rows);
        for (int row = 0; row < rows; row++) {
          for (int column = 0; column < columns; column++) {
            assertEquals(
                source.get(ValueLayout.JAVA_INT_UNALIGNED, 4L * (row * columns + column)),
                target.get(ValueLayout.JAVA_INT_UNALIGNED, 4L * (column * rows + row)));
          }
        }
      }
    }
  }

  /** What comes out of a product that starts with numbers of every size and adds nothing. */
  @Test
  void tilesRoundGelu() {
    assumeTrue(MachineCode.written(), "machine code is for Linux on x86-64");
    assumeTrue(MatrixUnit.facts().amxBf16(), "this processor has no AMX-BF16");
    int panels = 3;
    int columns = panels * PANEL;
    for (int rows : new int[] {1, 4, 16, 19, 32, 45, 64, 90}) {
      for (int depthBytes : new int[] {64, 192, 768}) {
        ByteBuffer start = ByteBuffer.allocate(rows * columns * 4).order(ByteOrder.nativeOrder());
        for (int i = 0; i < rows * columns; i++) {
          start.putFloat(4 * i, (i - rows * columns / 2) * (12f / rows / columns));
        }
        float[] extremes = {Float.NaN, Float.POSITIVE_INFINITY, 0f, -0f, 1e30f, -1e30f, -1e-30f};
        for (int i = 0; i < extremes.length; i++) {
          start.putFloat(4 * i, extremes[i]);
        }
        MemorySegment starts = guarded(start.array());
        MemorySegment zeros = guarded(new byte[Math.max(rows, columns) * depthBytes]);
        MemorySegment output = guarded(new byte[Matrix.roundUp(rows, 4) * columns * 2]);
        call(
            Function.TILE_GELU,
            zeros.address(),
            depthBytes,
            zeros.address(),
            (long) PANEL * depthBytes,
            depthBytes / 4,
            output.address(),
            2L * columns,
            rows,
            panels,
            starts.address(),
            4L * columns,
            4);
        for (int i = 0; i < rows * columns; i++) {
          float x = start.getFloat(4 * i);
          double expected = x < -1e29 ? 0 : ScalarBackend.apply(Activation.GELU, x);
          short bits = output.get(ValueLayout.JAVA_SHORT_UNALIGNED, 2L * i);
          float actual = Float.intBitsToFloat(bits << 16);
          if (Double.isFinite(expected)) {
            double rounding = Math.abs(expected) / 256 + 4e-5;
            assertEquals(expected, actual, rounding, "gelu of " + x);
          } else {
            assertEquals((float) expected, actual);
          }
        }
      }
    }
  }

  /** Everything at the very end of its memory; rows have room up to a multiple of four. */
  @ParameterizedTest
  @EnumSource(
      value = Activation.class,
      names = {"IDENTITY", "GELU"})
  void tilesScaleSumsOfInt8(Activation activation) {
    assumeTrue(MachineCode.written(), "machine code is for Linux on x86-64");
    assumeTrue(MatrixUnit.facts().amxInt8(), "this processor has no AMX-INT8");
    for (int rows : new int[] {1, 4, 15, 16, 19, 32, 45, 64, 90}) {
      for (int depthBytes : new int[] {64, 192, 768}) {
        for (int panels : new int[] {1, 3}) {
          Product product = new Product(Precision.INT8, rows, depthBytes, panels);
          int columns = panels * PANEL;
          int paddedRows = Matrix.roundUp(rows, 4);
          float[] columnScales = numbers(columns);
          float[] biases = numbers(columns);
          float[] rowScales = numbers(paddedRows);
          int[] excesses = random.ints(paddedRows, -9999, 9999).toArray();
          ByteBuffer factors = ByteBuffer.allocate(8 * paddedRows).order(ByteOrder.nativeOrder());
          for (int row = 0; row < paddedRows; row++) {
            rowScales[row] /= 1000;
            factors.putFloat(rowScales[row]).putInt(excesses[row]);
          }
          MemorySegment output = guarded(new byte[4 * paddedRows * columns]);
          call(
              activation == Activation.GELU ? Function.TILE_SCALED_GELU : Function.TILE_SCALED,
              guarded(product.left).address(),
              depthBytes,
              guarded(product.right).address(),
              (long) PANEL * depthBytes,
              depthBytes / 4,
              output.address(),
              4L * columns,
              rows,
              panels,
              guarded(factors.array()).address(),
              8,
              guarded(bytes(columnScales)).address(),
              guarded(bytes(biases)).address());
          for (int row = 0; row < rows; row++) {
            for (int column = 0; column < columns; column++) {
              int sum = -excesses[row];
              for (int step = 0; step < depthBytes / 4; step++) {
                sum += (int) product.dot(row, column, step);
              }
              float x = Math.fma(sum * rowScales[row], columnScales[column], biases[column]);
              float actual =
                  output.get(ValueLayout.JAVA_FLOAT_UNALIGNED, 4L * (row * columns + column));
              if (activation == Activation.GELU) {
                assertEquals(ScalarBackend.apply(activation, x), actual, 4e-5);
              } else {
                assertEquals(x, actual);
              }
            }
          }
        }
      }
    }
  }

  /** Sources and targets at the very end of their memory. */
  @Test
  void rowsAreRoundedToInt8() {
    assumeTrue(MachineCode.written(), "machine code is for Linux on x86-64");
    assumeTrue(MatrixUnit.facts().missing().isEmpty(), "this processor has no AVX-512");
    for (int columns : new int[] {7, 16, 33, 64, 120, 192}) {
      int rows = 5;
      int rowBytes = Matrix.roundUp(columns, 64);
      float[] numbers = numbers(rows * columns);
      Arrays.fill(numbers, columns, 2 * columns, 0f);
      numbers[2 * columns + 3] = Float.NaN;
      numbers[3 * columns + 5] = -1e9f;
      MemorySegment rounded = guarded(new byte[rows * rowBytes]);
      rounded.fill((byte) 9);
      MemorySegment factors = guarded(new byte[8 * rows]);
      call(
          Function.ROUND_INT8,
          guarded(bytes(numbers)).address(),
          4L * columns,
          rows,
          columns,
          rounded.address(),
          rowBytes,
          factors.address());
      for (int row = 0; row < rows; row++) {
        float largest = 0;
        for (int column = 0; column < columns; column++) {
          largest = Math.max(largest, Math.abs(numbers[row * columns + column]));
        }
        float scale = factors.get(ValueLayout.JAVA_FLOAT_UNALIGNED, 8L * row);
        assertEquals(largest / Int8.LARGEST, scale);
        int sum = 0;
        for (int column = 0; column < columns; column++) {
          byte actual = rounded.get(ValueLayout.JAVA_BYTE, (long) row * rowBytes + column);
          sum += actual;
          if (!Float.isNaN(largest)) {
            float inverse = largest == 0 ? 0 : Int8.LARGEST / largest;
            assertEquals((byte) Math.rint(numbers[row * columns + column] * inverse), actual);
          }
        }
        for (int column = columns; column < rowBytes; column++) {
          assertEquals(0, rounded.get(ValueLayout.JAVA_BYTE, (long) row * rowBytes + column));
        }
        assertEquals(128 * sum, factors.get(ValueLayout.JAVA_INT_UNALIGNED, 8L * row + 4));
      }
    }
  }

  /** Sources and targets at the very end of their memory. */
  @Test
  void rowsAreScaledAndRounded() {
    assumeTrue(MachineCode.written(), "machine code is for Linux on x86-64");
    assumeTrue(MatrixUnit.facts().avx512Bf16(), "this processor has no bf16");
    for (int rows : new int[] {1, 7}) {
      for (int columns : new int[] {PANEL, 3 * PANEL}) {
        float[] numbers = numbers(rows * columns);
        float[] factors = numbers(rows);
        long source = guarded(bytes(numbers)).address();
        long factorsAt = guarded(bytes(factors)).address();
        MemorySegment scaled = guarded(new byte[4 * numbers.length]);
        MemorySegment rounded = guarded(new byte[2 * numbers.length]);
        call(
            Function.SCALE,
            source,
            4L * columns,
            rows,
            columns,
            scaled.address(),
            4L * columns,
            factorsAt);
        call(
            Function.ROUND_BF16,
            source,
            4L * columns,
            rows,
            columns,
            rounded.address(),
            2L * columns,
            factorsAt);
        for (int i = 0; i < numbers.length; i++) {
          assertEquals(
              numbers[i] * factors[i / columns],
              scaled.get(ValueLayout.JAVA_FLOAT_UNALIGNED, 4L * i));
          assertEquals(
              (short) BFloat16.bits(numbers[i] * factors[0]),
              rounded.get(ValueLayout.JAVA_SHORT_UNALIGNED, 2L * i));
        }
      }
    }
  }

  /** Everything ends with its memory, and pairs may lie where the rows do. */
  @Test
  void rowsArePaired() {
    assumeTrue(MachineCode.written(), "machine code is for Linux on x86-64");
    assumeTrue(MatrixUnit.facts().avx512Bf16(), "this processor has no bf16");
    for (int rows : new int[] {1, 2, 7, 8}) {
      for (int columns : new int[] {PANEL / 2, PANEL, 3 * PANEL}) {
        float[] numbers = numbers(rows * columns);
        long step = 4L * columns;
        MemorySegment source = guarded(bytes(numbers));
        int pairs = Math.ceilDiv(rows, 2);
        MemorySegment target = guarded(new byte[4 * pairs * columns]);
        long at = source.address();
        call(Function.PAIR_ROWS, at, step, rows, columns, target.address(), step);
        call(Function.PAIR_ROWS, at, step, rows, columns, at, step);
        for (int i = 0; i < pairs * columns; i++) {
          int first = i / columns * 2 * columns + i % columns;
          int low = BFloat16.bits(numbers[first]);
          int next = first + columns;
          int high = next < numbers.length ? BFloat16.bits(numbers[next]) : 0;
          int expected = low & 0xFFFF | high << 16;
          assertEquals(expected, target.get(ValueLayout.JAVA_INT_UNALIGNED, 4L * i));
          assertEquals(expected, source.get(ValueLayout.JAVA_INT_UNALIGNED, 4L * i));
        }
      }
    }
  }

  /** Everything ends with its memory; the target is the source, or the rows that are added. */
  @Test
  void rowsAreNormalized() {
    assumeTrue(MachineCode.written(), "machine code is for Linux on x86-64");
    assumeTrue(MatrixUnit.facts().missing().isEmpty(), "this processor has no AVX-512");
    for (int rows : new int[] {1, 7}) {
      for (int columns : new int[] {PANEL, 3 * PANEL, 12 * PANEL}) {
        for (boolean added : new boolean[] {false, true}) {
          normalize(rows, columns, added, true);
          normalize(rows, columns, added, false);
        }
      }
    }
  }

  private void normalize(int rows, int columns, boolean added, boolean centered) {
    float[] numbers = numbers(rows * columns);
    float[] others = added ? numbers(rows * columns) : new float[rows * columns];
    float[] factors = numbers(columns);
    float[] biases = numbers(columns);
    float epsilon = 0.5f;
    MemorySegment target = guarded(bytes(added ? others : numbers));
    call(
        Function.NORM,
        added ? guarded(bytes(numbers)).address() : target.address(),
        4L * columns,
        rows,
        columns,
        target.address(),
        4L * columns,
        guarded(bytes(factors)).address(),
        Float.floatToRawIntBits(epsilon),
        guarded(bytes(biases)).address(),
        added ? target.address() : 0,
        4L * columns,
        centered ? 1 : 0);
    for (int row = 0; row < rows; row++) {
      double[] sums = new double[columns];
      for (int i = 0; i < columns; i++) {
        sums[i] = numbers[row * columns + i] + others[row * columns + i];
      }
      double mean = centered ? Arrays.stream(sums).average().orElseThrow() : 0;
      double variance =
          Arrays.stream(sums).map(x -> (x - mean) * (x - mean)).average().orElseThrow();
      for (int i = 0; i < columns; i++) {
        double expected = (sums[i] - mean) / Math.sqrt(variance + epsilon) * factors[i] + biases[i];
        float actual = target.get(ValueLayout.JAVA_FLOAT_UNALIGNED, 4L * (row * columns + i));
        assertEquals(expected, actual, 2e-6 * (1 + Math.abs(expected)));
      }
    }
  }

  private float[] numbers(int count) {
    float[] numbers = new float[count];
    for (int i = 0; i < count; i++) {
      numbers[i] = (float) random.nextGaussian();
    }
    return numbers;
  }

  private static byte[] bytes(float[] numbers) {
    ByteBuffer bytes = ByteBuffer.allocate(4 * numbers.length).order(ByteOrder.nativeOrder());
    bytes.asFloatBuffer().put(numbers);
    return bytes.array();
  }

  private static void call(Function function, long... values) {
    MemorySegment numbers = guarded(new byte[8 * values.length]);
    for (int i = 0; i < values.length; i++) {
      numbers.setAtIndex(ValueLayout.JAVA_LONG, i, values[i]);
    }
    MachineCode.call(MatrixUnit.code().address(function), numbers);
  }

  /** Scores and answers at the very end of their memory, among them masked ones. */
  @ParameterizedTest
  @EnumSource(
      value = Function.class,
      names = {"SOFTMAX_FP32", "SOFTMAX_BF16"})
  void softmaxIsRightAndStaysInItsMemory(Function function) {
    boolean pairs = function == Function.SOFTMAX_BF16;
    assumeTrue(MachineCode.written(), "machine code is for Linux on x86-64");
    MatrixUnit.Facts facts = MatrixUnit.facts();
    assumeTrue(
        pairs ? facts.avx512Bf16() : facts.missing().isEmpty(),
        "this processor has no " + function);
    for (int rows : new int[] {1, 2, 3, 4, 5, 6, 8, 9, 32, 33, 63, 100}) {
      for (int columns : new int[] {PANEL / 2, PANEL}) {
        softmax(function, rows, columns);
      }
    }
  }

  private void softmax(Function function, int rows, int columns) {
    boolean pairs = function == Function.SOFTMAX_BF16;
    int pairRows = Math.ceilDiv(rows, 2);
    int paddedRows = Matrix.roundUp(pairRows, 16);
    int room = pairs ? Math.max(rows, paddedRows) : rows;
    ByteBuffer given = ByteBuffer.allocate(room * PANEL * 4).order(ByteOrder.nativeOrder());
    for (int i = 0; i < room * PANEL; i++) {
      boolean masked = i >= PANEL && random.nextInt(10) == 0;
      given.putFloat(4 * i, masked ? -3e38f : 20 * (float) random.nextGaussian());
    }
    MemorySegment scores = guarded(given.array());
    MemorySegment answers = guarded(new byte[2 * PANEL * 4]);
    call(function, scores.address(), rows, 4L * columns, answers.address(), 0, 0);
    ByteBuffer powers = scores.asByteBuffer().order(ByteOrder.nativeOrder());
    ByteBuffer found = answers.asByteBuffer().order(ByteOrder.nativeOrder());
    for (int column = 0; column < columns; column++) {
      float largest = Float.NEGATIVE_INFINITY;
      for (int row = 0; row < rows; row++) {
        largest = Math.max(largest, given.getFloat(4 * (row * PANEL + column)));
      }
      double sum = 0;
      for (int row = 0; row < rows; row++) {
        double power = Math.pow(2, given.getFloat(4 * (row * PANEL + column)) - largest);
        int at = 4 * ((pairs ? row / 2 : row) * PANEL + column);
        float actual =
            pairs
                ? Float.intBitsToFloat(powers.getShort(at + row % 2 * 2) << 16)
                : powers.getFloat(at);
        assertEquals(power, actual, pairs ? power / 250 + 1e-37 : power * 1e-5 + 1e-37);
        sum += power;
      }
      for (int half = rows; pairs && half < 2 * paddedRows; half++) {
        assertEquals(0, powers.getShort(4 * (half / 2 * PANEL + column) + half % 2 * 2));
      }
      assertEquals(largest, found.getFloat(4 * (PANEL + column)), "largest");
      assertEquals(sum, found.getFloat(4 * column), sum * (pairs ? 1e-4 : 1e-5), "sum of " + rows);
    }
    for (int column = columns; column < PANEL; column++) {
      assertEquals(0f, found.getFloat(4 * column));
      assertEquals(given.getFloat(4 * column), powers.getFloat(4 * column), "not asked for");
    }
  }

  /** Of columns some have a larger score now, and some do not. */
  @Test
  void softmaxScalesWhatEarlierScoresGave() {
    assumeTrue(MachineCode.written(), "machine code is for Linux on x86-64");
    assumeTrue(MatrixUnit.facts().avx512Bf16(), "this processor has no bf16");
    int rows = 33;
    int sumRows = 3;
    float[] scores = numbers(rows * PANEL);
    float[] state = numbers(2 * PANEL);
    for (int column = 0; column < PANEL; column++) {
      state[PANEL + column] += 2;
    }
    float[] sums = numbers(sumRows * PANEL);
    MemorySegment states = guarded(bytes(state));
    MemorySegment scaled = guarded(bytes(sums));
    long scoresAt = guarded(bytes(scores)).address();
    long rowBytes = 4L * PANEL;
    call(Function.SOFTMAX_BF16, scoresAt, rows, rowBytes, states.address(), scaled.address(), 3);
    for (int column = 0; column < PANEL; column++) {
      double largest = state[PANEL + column];
      for (int row = 0; row < rows; row++) {
        largest = Math.max(largest, scores[row * PANEL + column]);
      }
      double factor = Math.pow(2, state[PANEL + column] - largest);
      double sum = factor * state[column];
      for (int row = 0; row < rows; row++) {
        sum += Math.pow(2, scores[row * PANEL + column] - largest);
      }
      ValueLayout.OfFloat layout = ValueLayout.JAVA_FLOAT_UNALIGNED;
      assertEquals(largest, states.get(layout, 4L * (PANEL + column)));
      assertEquals(sum, states.get(layout, 4L * column), 1e-4 * rows);
      for (int row = 0; row < sumRows; row++) {
        float before = sums[row * PANEL + column];
        float actual = scaled.get(layout, 4L * (row * PANEL + column));
        assertEquals(factor * before, actual, factor == 1 ? 0 : 1e-6 * Math.abs(before));
      }
    }
  }

  /** A sequence that ends with its matrix, which ends with its memory, and begins at any row. */
  @ParameterizedTest
  @CsvSource({"FP32, 24", "BF16, 120"})
  void attentionStaysInItsMatrix(Precision precision, int rows) {
    assumeTrue(MachineCode.written(), "machine code is for Linux on x86-64");
    VectorBackend backend = new VectorBackend(precision, new Workers(1));
    assumeTrue(!backend.kernels().startsWith("vector"), backend.kernelsReason());
    // Tiles multiply heads of whole tiles alone.
    for (int headSize : new int[] {30, 32}) {
      AttentionPattern pattern = AttentionPattern.full(5, headSize);
      PackedBatch batch = PackedBatch.of(new int[] {0, 1, rows});
      Matrix queryKeyValue = guarded(rows, pattern.queryKeyValueSize());
      Matrix context = guarded(rows, pattern.contextSize());
      float[] row = new float[pattern.queryKeyValueSize()];
      Arrays.fill(row, pattern.valueColumn(0), row.length, 1f);
      for (int i = 0; i < rows; i++) {
        queryKeyValue.write(row, i, 0);
      }
      backend.attention(queryKeyValue, batch, pattern, context);
      for (int i = 0; i < rows; i++) {
        for (float mean : context.row(i, pattern.contextSize())) {
          assertEquals(1f, mean, precision == Precision.FP32 ? 1e-6f : 1e-3f);
        }
      }
    }
  }

  private static Matrix guarded(int rows, int columns) {
    try (Arena arena = Arena.ofConfined()) {
      Matrix matrix = Matrix.allocate(arena, rows, columns);
      MemorySegment data = guarded(new byte[Math.toIntExact(matrix.data().byteSize())]);
      return new Matrix(data, rows, columns, matrix.stride());
    }
  }

  /** Memory that ends where a page begins that nobody may touch; it is never given back. */
  @SuppressWarnings("restricted")
  private static MemorySegment guarded(byte[] content) {
    Linker linker = Linker.nativeLinker();
    int bytes = content.length;
    long whole = Math.ceilDiv(bytes, PAGE) * (long) PAGE;
    try {
      MethodHandle mmap =
          linker.downcallHandle(
              linker.defaultLookup().find("mmap").orElseThrow(),
              FunctionDescriptor.of(
                  ValueLayout.ADDRESS,
                  ValueLayout.ADDRESS,
                  ValueLayout.JAVA_LONG,
                  ValueLayout.JAVA_INT,
                  ValueLayout.JAVA_INT,
                  ValueLayout.JAVA_INT,
                  ValueLayout.JAVA_LONG));
      MethodHandle mprotect =
          linker.downcallHandle(
              linker.defaultLookup().find("mprotect").orElseThrow(),
              FunctionDescriptor.of(
                  ValueLayout.JAVA_INT,
                  ValueLayout.ADDRESS,
                  ValueLayout.JAVA_LONG,
                  ValueLayout.JAVA_INT));
      MemorySegment pages =
          ((MemorySegment) mmap.invokeExact(MemorySegment.NULL, whole + PAGE, 3, 0x22, -1, 0L))
              .reinterpret(whole + PAGE);
      assertEquals(0, (int) mprotect.invokeExact(pages.asSlice(whole), (long) PAGE, 0));
      return pages.asSlice(whole - bytes, bytes).copyFrom(MemorySegment.ofArray(content));
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }
}

package org.lanewise.encoder.backend.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.reflect.RecordComponent;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Libraries as records of method handles, each with its C declaration ({@link Signature}), from
 * which its name and how it is called follow.
 */
@SuppressWarnings("restricted") // Calling libraries is what this package is for.
final class Declarations {
  private static final Pattern DECLARATION = Pattern.compile("(.*?)(\\w+)\\((.*)\\)");

  private Declarations() {}

  /**
   * Loads the first library that is there, for the rest of the process.
   *
   * @param what the library is called in messages
   * @param names that the dynamic loader is asked for
   * @throws IllegalArgumentException if none is there or has all functions, with the first reason
   */
  static <R extends Record> R load(Class<R> type, String what, List<String> names) {
    if (!Declarations.class.getModule().isNativeAccessEnabled()) {
      throw new IllegalArgumentException(
          "this JVM denies native calls; add --enable-native-access=ALL-UNNAMED to the JVM"
              + " options");
    }
    List<String> causes = new ArrayList<>();
    for (String name : names) {
      try {
        return bind(type, what, SymbolLookup.libraryLookup(name, Arena.global()));
      } catch (IllegalArgumentException e) {
        causes.add(e.getMessage());
      }
    }
    throw new IllegalArgumentException(what + " is missing: " + causes.getFirst());
  }

  /** Returns the functions that a library has. */
  static <R extends Record> R bind(Class<R> type, String what, SymbolLookup library) {
    return of(
        type,
        signature -> {
          String name = functionName(signature);
          MemorySegment address =
              library
                  .find(name)
                  .orElseThrow(
                      () ->
                          new IllegalArgumentException(
                              what + " has no [" + name + "]: it is too old"));
          return Linker.nativeLinker().downcallHandle(address, descriptor(signature));
        });
  }

  /** Returns a library of functions that are found by their declarations. */
  static <R extends Record> R of(Class<R> type, Function<String, MethodHandle> functions) {
    Class<?>[] types =
        Arrays.stream(type.getRecordComponents())
            .map(RecordComponent::getType)
            .toArray(Class<?>[]::new);
    Object[] handles = signatures(type).stream().map(functions).toArray();
    try {
      return type.getDeclaredConstructor(types).newInstance(handles);
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Returns all declarations. */
  static List<String> signatures(Class<? extends Record> type) {
    return Arrays.stream(type.getRecordComponents())
        .map(component -> component.getAnnotation(Signature.class).value())
        .toList();
  }

  /** Returns the name of the function that is declared. */
  static String functionName(String signature) {
    return parts(signature).group(2);
  }

  private static Matcher parts(String signature) {
    Matcher parts = DECLARATION.matcher(signature);
    if (!parts.matches()) {
      throw new IllegalStateException("[" + signature + "] is no declaration");
    }
    return parts;
  }

  /** Returns how a declared function is called. */
  static FunctionDescriptor descriptor(String signature) {
    Matcher parts = parts(signature);
    String arguments = parts.group(3);
    MemoryLayout[] layouts =
        arguments.equals("void")
            ? new MemoryLayout[0]
            : Arrays.stream(arguments.split(", "))
                .map(each -> layout(each.substring(0, each.lastIndexOf(' ') + 1), each))
                .toArray(MemoryLayout[]::new);
    return FunctionDescriptor.of(layout(parts.group(1), parts.group(1)), layouts);
  }

  private static MemoryLayout layout(String type, String declaration) {
    if (declaration.contains("*") || declaration.endsWith("[]")) {
      return ValueLayout.ADDRESS;
    }
    return switch (type.strip()) {
      case "int",
          "unsigned int",
          "CUresult",
          "CUdevice",
          "CUdevice_attribute",
          "CUfunction_attribute",
          "cublasStatus_t",
          "cublasComputeType_t",
          "cudaDataType",
          "cudaDataType_t",
          "cublasLtMatmulDescAttributes_t",
          "cublasLtMatmulPreferenceAttributes_t" ->
          ValueLayout.JAVA_INT;
      case "unsigned char" -> ValueLayout.JAVA_BYTE;
      case "size_t", "uint64_t", "int64_t", "CUdeviceptr" -> ValueLayout.JAVA_LONG;
      case "CUcontext",
          "CUmodule",
          "CUfunction",
          "CUstream",
          "cudaStream_t",
          "cublasLtHandle_t",
          "cublasLtMatmulDesc_t",
          "cublasLtMatrixLayout_t",
          "cublasLtMatmulPreference_t" ->
          ValueLayout.ADDRESS;
      default ->
          throw new IllegalStateException(
              String.format(Locale.ROOT, "[%s] in [%s] has no layout", type, declaration));
    };
  }
}

package org.lanewise.encoder.backend.cuda;

import java.lang.invoke.MethodHandle;
import java.util.List;
import org.lanewise.encoder.backend.Backends;

/**
 * The functions of cuBLASLt that are used, each with its declaration in {@code cublasLt.h}: what
 * its versions 12 and 13 have in common. What returns a status returns 0 for success.
 */
record CudaBlas(
    @Signature("size_t cublasLtGetVersion(void)") MethodHandle version,
    @Signature("const char* cublasLtGetStatusName(cublasStatus_t status)") MethodHandle statusName,
    @Signature("cublasStatus_t cublasLtCreate(cublasLtHandle_t* lightHandle)") MethodHandle create,
    @Signature("cublasStatus_t cublasLtDestroy(cublasLtHandle_t lightHandle)") MethodHandle destroy,
    @Signature(
            "cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* matmulDesc,"
                + " cublasComputeType_t computeType, cudaDataType_t scaleType)")
        MethodHandle createOperation,
    @Signature("cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t matmulDesc)")
        MethodHandle destroyOperation,
    @Signature(
            "cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t matmulDesc,"
                + " cublasLtMatmulDescAttributes_t attr, const void* buf, size_t sizeInBytes)")
        MethodHandle setOperation,
    @Signature(
            "cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* matLayout,"
                + " cudaDataType type, uint64_t rows, uint64_t cols, int64_t ld)")
        MethodHandle createLayout,
    @Signature("cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t matLayout)")
        MethodHandle destroyLayout,
    @Signature("cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* pref)")
        MethodHandle createPreference,
    @Signature("cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t pref)")
        MethodHandle destroyPreference,
    @Signature(
            "cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t pref,"
                + " cublasLtMatmulPreferenceAttributes_t attr, const void* buf, size_t"
                + " sizeInBytes)")
        MethodHandle setPreference,
    @Signature(
            "cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t lightHandle,"
                + " cublasLtMatmulDesc_t operationDesc, cublasLtMatrixLayout_t Adesc,"
                + " cublasLtMatrixLayout_t Bdesc, cublasLtMatrixLayout_t Cdesc,"
                + " cublasLtMatrixLayout_t Ddesc, cublasLtMatmulPreference_t preference, int"
                + " requestedAlgoCount, cublasLtMatmulHeuristicResult_t heuristicResultsArray[],"
                + " int* returnAlgoCount)")
        MethodHandle algorithms,
    @Signature(
            "cublasStatus_t cublasLtMatmul(cublasLtHandle_t lightHandle, cublasLtMatmulDesc_t"
                + " computeDesc, const void* alpha, const void* A, cublasLtMatrixLayout_t Adesc,"
                + " const void* B, cublasLtMatrixLayout_t Bdesc, const void* beta, const void* C,"
                + " cublasLtMatrixLayout_t Cdesc, void* D, cublasLtMatrixLayout_t Ddesc, const"
                + " cublasLtMatmulAlgo_t* algo, void* workspace, size_t workspaceSizeInBytes,"
                + " cudaStream_t stream)")
        MethodHandle multiply) {

  /** The system property that switches the library off. */
  static final String PROPERTY = "lanewise.cublas";

  /** What the library is called, on Linux and on Windows, the newest version first. */
  private static final List<String> NAMES =
      List.of(
          "libcublasLt.so.13",
          "libcublasLt.so.12",
          "libcublasLt.so",
          "cublasLt64_13.dll",
          "cublasLt64_12.dll");

  /** Numbers of the headers {@code cublasLt.h}, {@code cublas_api.h}, {@code library_types.h}. */
  enum Constant {
    CUDA_R_32F(0),
    CUDA_R_16BF(14),
    CUBLAS_COMPUTE_32F(68),
    CUBLAS_OP_T(1),
    CUBLASLT_MATMUL_DESC_TRANSA(3),
    CUBLASLT_MATMUL_DESC_EPILOGUE(7),
    CUBLASLT_MATMUL_DESC_BIAS_POINTER(8),
    CUBLASLT_EPILOGUE_BIAS(4),
    CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES(1),
    CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK(3),
    CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES(5),
    CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES(6),
    CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES(7),
    CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES(8),
    CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE(2);

    private final int number;

    Constant(int number) {
      this.number = number;
    }

    int number() {
      return number;
    }
  }

  /**
   * Loads the library, for the rest of the process.
   *
   * @throws IllegalArgumentException if it is not there, lacks a function or is switched off, with
   *     the reason
   */
  static CudaBlas load() {
    if (!Backends.isOn(PROPERTY)) {
      throw new IllegalArgumentException("-D" + PROPERTY + "=false");
    }
    return Declarations.load(CudaBlas.class, "cuBLASLt", NAMES);
  }
}

/**
 * The operations on an NVIDIA GPU: {@link org.lanewise.encoder.backend.cuda.CudaBackend} calls the
 * kernels of {@code src/main/cuda}, which lie beside these classes as PTX, through the driver's own
 * library and {@code java.lang.foreign}. {@code CudaDriver} is that library, {@code CudaDevice} one
 * device with its memory and kernels, {@code Lane} what one thread has under way on it; {@code
 * CudaBlas} is cuBLASLt, where there is one. {@code CudaProducts} multiplies, each shape in the way
 * that {@code ProductChoices} found fastest.
 *
 * <p>Nothing native is touched before a backend is opened. Matrices of this package lie in device
 * memory: their segments are addresses that Java never reads.
 */
package org.lanewise.encoder.backend.cuda;

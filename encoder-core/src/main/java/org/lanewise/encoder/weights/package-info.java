/**
 * Reads the files of a model directory: safetensors into named tensors over native memory (and back
 * into files), and small JSON files within limits. Nothing that a file says is believed before it
 * is checked, so that a hostile file costs an error and never memory. Depends on nothing; {@code
 * ModelDirectory} decides which tensors are used and {@code model} prepares them.
 *
 * <p>No parameter or result is null unless its documentation says so. Everything is immutable and
 * may be shared between threads, {@link org.lanewise.encoder.weights.JsonFile} excepted; tensors
 * live as long as the arena that they were opened in.
 */
package org.lanewise.encoder.weights;

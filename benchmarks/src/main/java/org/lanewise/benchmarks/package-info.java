/**
 * Measurements: JMH benchmarks of the kernels, each beside the limit of the machine it runs on, and
 * the race of whole encoders beside rivals. Every one checks its answer before it is timed. {@link
 * org.lanewise.benchmarks.Contender} is the seam: ours, ONNX Runtime and PyTorch implement it,
 * {@link org.lanewise.benchmarks.Race} runs them, {@link org.lanewise.benchmarks.Report} writes
 * what it found. What searches find is measured by the package retrieval. Nothing is null; classes
 * are for one thread unless they say otherwise.
 */
package org.lanewise.benchmarks;

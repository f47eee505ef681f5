/**
 * Measurements: JMH benchmarks of the kernels, each beside the limit of the machine it runs on.
 * Every benchmark checks its answer before it is timed. Run {@code java -jar benchmarks.jar}.
 */
package org.lanewise.benchmarks;

package org.lanewise.benchmarks;

/** One way to turn texts into vectors, ours or a rival's. Used by one thread at a time. */
interface Contender extends AutoCloseable {
  /** Returns what tables call it. */
  String name();

  /** Takes the workload that {@link #run()} computes and chooses the fastest setting for it. */
  void prepare(Workload workload);

  /** Returns the setting in words: kernels or graph, threads, batches. */
  String setting();

  /** Computes the vectors of all texts of the workload. */
  void run();

  /** Returns the vectors of the last run, in the order of the texts. */
  float[][] vectors();

  @Override
  void close();
}

/**
 * How well searches find what they should: test collections in BEIR's format, first stages that
 * search a whole corpus (BM25 and models), fusion and reranking of what they found, and the
 * measures. {@code EvaluateRetrievalCommand} runs them all; models are used through the doors of
 * {@code org.lanewise.encoder}. Nothing is null; records are immutable, everything else is for one
 * thread.
 */
package org.lanewise.benchmarks.retrieval;

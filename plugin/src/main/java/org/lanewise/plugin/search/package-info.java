/**
 * What a search can say: the {@code lanewise} query vector builder makes a typed question the query
 * vector of a knn search, knn query or knn retriever, the {@code lanewise_sparse} query makes it
 * weights of tokens; the {@code lanewise_hybrid} retriever fuses the hits of other retrievers into
 * one list, {@code lanewise_rerank} orders those of one, as a retriever or as a rescorer; the
 * {@code lanewise_maxsim} rescorer compares vectors of tokens; the {@code lanewise_answer}
 * highlighter marks answers.
 *
 * <p>Builder, query, retrievers and {@code lanewise_maxsim} ask {@code action} on the node that
 * coordinates the search, without a thread that waits. The rescorer {@code lanewise_rerank} and the
 * highlighter run on the shards and wait for {@code encode}. Nothing is null but what Elasticsearch
 * passes so, and what is parsed belongs to its request.
 */
package org.lanewise.plugin.search;

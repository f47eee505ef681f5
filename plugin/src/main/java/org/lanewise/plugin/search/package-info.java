/**
 * What a search can say: the {@code lanewise} query vector builder makes a typed question the query
 * vector of a knn search, knn query or knn retriever; the {@code lanewise_hybrid} retriever fuses
 * the hits of other retrievers into one list, {@code lanewise_rerank} orders those of one, as a
 * retriever or as a rescorer; the {@code lanewise_answer} highlighter marks answers.
 *
 * <p>Builder and retrievers run on the node that coordinates the search and ask {@code action}
 * without a thread that waits. Rescorer and highlighter run on the shards and wait for {@code
 * encode}. Nothing is null but what Elasticsearch passes so, and what is parsed belongs to its
 * request.
 */
package org.lanewise.plugin.search;

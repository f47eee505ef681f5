/**
 * What a search can say: the {@code lanewise} query vector builder makes a typed question the query
 * vector of a knn search, knn query or knn retriever, and the {@code lanewise_hybrid} retriever
 * fuses the hits of other retrievers into one list.
 *
 * <p>Both run on the node that coordinates the search. The builder asks {@code action} for the
 * vector, on the search side of the model's prompts; the retriever needs no other package. Nothing
 * is null but what Elasticsearch passes so, and what is parsed belongs to its request.
 */
package org.lanewise.plugin.search;

/**
 * The {@code lanewise} query vector builder: a typed question becomes the query vector of a knn
 * search, knn query or knn retriever.
 *
 * <p>It runs on the node that coordinates the search and asks {@code action} for the vector, on the
 * search side of the model's prompts.
 */
package org.lanewise.plugin.search;

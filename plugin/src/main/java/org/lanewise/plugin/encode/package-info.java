/**
 * Texts in, vectors, tags, scores or answers out, for everybody in the node: two lanes that pack
 * waiting texts into batches.
 *
 * <p>The search lane serves single queries and the hits of searches, the bulk lane everything else;
 * each has its own threads and its own bounded queue, so a bulk cannot stand in front of a search.
 * Callers only add to a queue: tokenizing, forward pass and answer all happen on the plugin's
 * pools. Uses {@code models}; used by {@code ingest} and {@code action}.
 */
package org.lanewise.plugin.encode;

/**
 * The plugin's door: what Elasticsearch loads, its settings and its thread pools.
 *
 * <p>Neighbours: {@code ingest}, {@code search}, {@code action} and {@code rest} speak with
 * Elasticsearch; {@code encode} packs texts into batches; {@code models} opens model directories.
 * In all of them parameters and results are never null unless a method says so, and everything
 * reachable from several threads is thread-safe.
 */
package org.lanewise.plugin;

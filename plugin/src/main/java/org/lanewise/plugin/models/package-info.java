/**
 * Which models this node has: ids to directories, directories to open models.
 *
 * <p>Models are opened on first use, off the calling thread, shared by everyone and closed with the
 * node. {@link org.lanewise.plugin.models.Model} is the plugin's whole view of the library: {@link
 * org.lanewise.plugin.models.Encoder} makes vectors, {@link org.lanewise.plugin.models.Tagger}
 * makes tags, {@link org.lanewise.plugin.models.Reranker} scores texts against a query and {@link
 * org.lanewise.plugin.models.Answerer} finds answers. Nothing here knows batches, documents or
 * requests; {@code encode} and {@code action} call in.
 */
package org.lanewise.plugin.models;

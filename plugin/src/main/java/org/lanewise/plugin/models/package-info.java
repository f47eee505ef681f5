/**
 * Which models this node has: ids to directories, directories to open encoders.
 *
 * <p>Models are opened on first use, off the calling thread, shared by everyone and closed with the
 * node. {@link org.lanewise.plugin.models.Encoder} is the plugin's whole view of the library.
 * Nothing here knows batches, documents or requests; {@code encode} and {@code action} call in.
 */
package org.lanewise.plugin.models;

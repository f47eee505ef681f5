/**
 * The {@code lanewise_embed} ingest processor: reads text fields, writes vector fields.
 *
 * <p>{@code EmbedProcessor} holds the options, {@code DocumentTexts} knows where a document keeps
 * its texts and where their vectors go, {@code ClusterMappings} how long a field wants them. The work itself is {@code encode}'s. A document is touched
 * by one thread at a time: the pipeline's until the texts are queued, the answering one afterwards.
 */
package org.lanewise.plugin.ingest;

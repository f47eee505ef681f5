/**
 * The ingest processors {@code lanewise_embed} and {@code lanewise_tag}: read text fields, write
 * vectors and tags.
 *
 * <p>The processors hold the options, {@code DocumentTexts} knows where a document keeps its texts
 * and where the answers go, {@code ClusterMappings} how long a field wants its vectors. The work
 * itself is {@code encode}'s. A document is touched by one thread at a time: the pipeline's until
 * the texts are queued, the answering one afterwards.
 */
package org.lanewise.plugin.ingest;

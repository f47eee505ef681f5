/**
 * A real Elasticsearch node, assembled from the jars that Maven resolved: {@link
 * org.lanewise.node.NodeHome} lays the directory out and installs the plugin zip, {@link
 * org.lanewise.node.ElasticsearchNode} starts and stops the process, {@link org.lanewise.node.Http}
 * speaks to it. The integration tests and the demo live on it.
 *
 * <p>Nothing is null. Classes are for one thread, {@code Http} for any number.
 */
package org.lanewise.node;

/**
 * The one name that the server expects outside its published jars; org.lanewise.node installs it.
 */
package org.elasticsearch.io.ansi;

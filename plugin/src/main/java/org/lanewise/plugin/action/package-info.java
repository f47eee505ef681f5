/**
 * What can be asked of a node: embed or tag texts, describe models, count work.
 *
 * <p>Embedding, tagging and describing happen on the node that is asked and never travel; the
 * counters are gathered from all nodes. {@code rest} and {@code search} call these actions, which
 * call {@code encode} and {@code models}.
 */
package org.lanewise.plugin.action;

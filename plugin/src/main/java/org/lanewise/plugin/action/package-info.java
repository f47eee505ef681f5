/**
 * What can be asked of a node: embed, tag or rerank texts, answer questions, describe models, count
 * work.
 *
 * <p>What models do, and describing them, happens on the node that is asked and never travels; the
 * counters are gathered from all nodes. {@code rest} and {@code search} call these actions, which
 * call {@code encode} and {@code models}.
 */
package org.lanewise.plugin.action;

package org.lanewise.encoder.head;

/**
 * Neighbouring tokens that carry one label, for example a name.
 *
 * @param label what the span is, without a prefix
 * @param firstToken its first token
 * @param lastToken its last token, at least {@code firstToken}
 * @param score mean of its tokens' scores
 */
public record Span(String label, int firstToken, int lastToken, double score) {}

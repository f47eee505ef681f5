package org.lanewise.plugin.ingest;

/**
 * From where to where.
 *
 * @param input path of the text, in dot notation
 * @param output path of what is made of it, in dot notation
 */
record FieldPair(String input, String output) {}

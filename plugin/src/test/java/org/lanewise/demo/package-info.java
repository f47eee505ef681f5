/**
 * The demo that {@code mvn -Pdemo} runs: texts through an ingest pipeline of a real node, questions
 * against them by meaning and by keyword. {@link org.lanewise.demo.Demo} is the story, {@link
 * org.lanewise.demo.DemoIndex} its requests; the node comes from {@code org.lanewise.node}.
 *
 * <p>Nothing is null; one thread.
 */
package org.lanewise.demo;

/**
 * {@code lanewise}, the command line over the encoder: one class per command, {@link
 * org.lanewise.cli.Main} to start them, {@link org.lanewise.cli.InputLines} for what they read.
 *
 * <p>Commands answer in JSON lines on stdout and write nothing else there; what is wrong with the
 * call or the model is one line on stderr. They use {@code org.lanewise.encoder} and know nothing
 * of Elasticsearch. Nothing here takes or returns null, except picocli's fields of options that
 * were not given. A command runs once, on one thread; the encoder's threads work for it.
 */
package org.lanewise.cli;

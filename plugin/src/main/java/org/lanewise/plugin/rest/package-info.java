/**
 * The HTTP side of {@code action}: {@code /_lanewise/embed}, {@code /_lanewise/tag}, {@code
 * /_lanewise/sparse}, {@code /_lanewise/rerank}, {@code /_lanewise/answer}, {@code
 * /_lanewise/models}, {@code /_lanewise/stats} and {@code /_cat/lanewise}.
 *
 * <p>Handlers parse and bound a request and hand it on; they do no work of their own.
 */
package org.lanewise.plugin.rest;

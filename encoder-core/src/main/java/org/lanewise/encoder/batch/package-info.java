/**
 * Puts texts of about one length together and packs their tokens end to end, with no padding, as
 * every operation wants them.
 *
 * <p>Knows the tokenizer's tokens and nothing of models or devices.
 */
package org.lanewise.encoder.batch;

/**
 * From hidden states to answers: pooling and the modules that sentence-transformers puts behind an
 * encoder. Uses the operations of the backend; knows nothing of texts.
 */
package org.lanewise.encoder.head;

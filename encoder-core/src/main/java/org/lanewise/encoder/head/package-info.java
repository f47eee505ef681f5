/**
 * From hidden states to answers: the modules that sentence-transformers puts behind an encoder, the
 * heads of checkpoints of transformers, classes of a sequence, labels of its tokens and the spans
 * that labels mean. Uses the operations of the backend; knows nothing of texts. No argument may be
 * null. Everything is immutable and thread-safe unless it says otherwise; arrays are not copied.
 */
package org.lanewise.encoder.head;

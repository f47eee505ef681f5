package org.lanewise.encoder.train;

import org.lanewise.encoder.backend.Matrix;

/**
 * What the last recurrent layer says of a batch, or the gradient of a loss by it.
 *
 * @param each (words, directions * hiddenSize)
 * @param last states after the last step, as {@code Backend.recur} has them
 */
record States(Matrix each, Matrix last) {}

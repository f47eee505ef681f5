/**
 * The families of encoders that are known: each reads its config.json, in the schemas that
 * transformers and the models' own code have written over the years, into an {@code EncoderConfig}:
 * a plan of blocks with the names of their weights. What the plan cannot say is refused by name.
 * The package model knows how to run a plan, and nothing of families.
 *
 * <p>Nothing here is null; readers serve one thread and one file.
 */
package org.lanewise.encoder.family;

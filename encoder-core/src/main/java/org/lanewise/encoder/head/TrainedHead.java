package org.lanewise.encoder.head;

/**
 * What a checkpoint was saved for, as its config.json says.
 *
 * @param kind what its last layers say
 * @param outputs numbers that they give for a text or token
 */
public record TrainedHead(HeadKind kind, int outputs) {}

package org.lanewise.demo;

/**
 * A question of the demo.
 *
 * @param text as a person types it
 * @param answer id of the one document that answers it
 */
record Question(String text, String answer) {}

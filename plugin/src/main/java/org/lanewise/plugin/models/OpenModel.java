package org.lanewise.plugin.models;

/**
 * A model that is ready to work.
 *
 * @param id the name users call it by
 * @param model the open model, owned by the registry: nobody else closes it
 */
public record OpenModel(String id, Model<?, ?> model) {}

/**
 * Models of the whole cluster: their files as documents of a hidden index, the verified copies that
 * a node makes of them, and what nodes agree on. Used by {@link org.lanewise.plugin.models} through
 * {@link org.lanewise.plugin.models.ModelCluster} and by the actions that manage models; knows
 * nothing of texts. Nothing is null, everything is thread-safe, and listeners are called where
 * files may be read.
 */
package org.lanewise.plugin.store;

package org.lanewise.plugin;

import org.lanewise.encoder.MemoryBudget;
import org.lanewise.plugin.models.ModelOpener;

/** The plugin with {@link TestEncoder} in place of the library. */
public final class TestPlugin extends LanewisePlugin {
  @Override
  protected ModelOpener opener(LanewiseSettings settings, MemoryBudget memory) {
    return new TestOpener();
  }
}

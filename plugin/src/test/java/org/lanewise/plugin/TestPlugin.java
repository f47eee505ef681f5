package org.lanewise.plugin;

import org.lanewise.plugin.models.ModelOpener;

/** The plugin with {@link TestEncoder} in place of the library. */
public final class TestPlugin extends LanewisePlugin {
  @Override
  protected ModelOpener opener(LanewiseSettings settings) {
    return new TestOpener();
  }
}

package org.lanewise.plugin;

import org.lanewise.plugin.models.Encoder;

/** The plugin with {@link TestEncoder} in place of the library. */
public final class TestPlugin extends LanewisePlugin {
  @Override
  protected Encoder.Opener opener(LanewiseSettings settings) {
    return TestEncoder::open;
  }
}

package org.lanewise.cli;

import java.nio.file.Path;
import java.util.Optional;
import org.lanewise.encoder.EmbedderOptions;
import org.lanewise.encoder.ModelDirectory;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** The options of every command that takes a tagger or classifier. */
final class SequenceModelArguments {
  @Mixin private EmbedderArguments arguments;

  @Option(
      names = "--encoder",
      paramLabel = "M",
      description =
          "The encoder that the model reads, if it reads one that is neither bundled nor in a"
              + " directory beside the model.")
  private String encoder;

  /** Returns where the model is. */
  Path path() {
    return arguments.path();
  }

  /** Returns the opened directory of an encoder. */
  ModelDirectory directory() {
    return arguments.directory();
  }

  /** Returns the defaults, system properties included, with the options in their place. */
  EmbedderOptions options() {
    return arguments.options();
  }

  /** Returns the encoders that the model may ask for. */
  Encoders encoders() {
    return new Encoders(path(), Optional.ofNullable(encoder), options());
  }
}

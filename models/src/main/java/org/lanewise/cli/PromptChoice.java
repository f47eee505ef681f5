package org.lanewise.cli;

import java.util.Optional;
import org.lanewise.encoder.Prompts;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Option;

/** Which prompt goes in front of texts; the model's default where no option says. */
final class PromptChoice {
  @ArgGroup(exclusive = true)
  private Choice choice;

  /** One of the two options. */
  private static final class Choice {
    @Option(
        names = "--prompt",
        paramLabel = "NAME",
        description = "Puts this prompt of the model in front of each text.")
    private String name;

    @Option(names = "--no-prompt", description = "Puts none there, not even the default.")
    private boolean none;
  }

  /** Returns the text of the prompt, empty for none. */
  String text(Prompts prompts) {
    if (choice == null) {
      return prompts.byDefault();
    }
    return choice.none ? "" : prompts.named(choice.name);
  }

  /** Returns the name of the prompt that was asked for. */
  Optional<String> name() {
    return choice == null ? Optional.empty() : Optional.ofNullable(choice.name);
  }
}

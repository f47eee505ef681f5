package org.lanewise.cli;

import java.util.Locale;
import org.lanewise.encoder.train.Progress;

/** Shows a training on stderr: a line per epoch, and a bar that moves where a person watches. */
final class TrainingProgress implements Progress {
  private static final int BAR = 20;
  private static final long BETWEEN_NANOS = 100_000_000;

  private final Streams streams;
  private final int epochs;
  private final String score;
  private long shown = System.nanoTime() - BETWEEN_NANOS;

  /**
   * @param epochs that training may take
   * @param score what the dev score is called
   */
  TrainingProgress(Streams streams, int epochs, String score) {
    this.streams = streams;
    this.epochs = epochs;
    this.score = score;
  }

  @Override
  public void resumed(Epoch last) {
    line("resuming after epoch " + last.number() + " from the checkpoint");
  }

  @Override
  public void batch(
      int epoch, double loss, double share, double wordsPerSecond, double secondsLeft) {
    long now = System.nanoTime();
    if (now - shown < BETWEEN_NANOS) {
      return;
    }
    shown = now;
    int full = (int) (share * BAR);
    long left = Math.round(secondsLeft);
    streams.progress(
        String.format(
            Locale.ROOT,
            "epoch %d/%d [%s%s] loss %.4f, %,.0f tokens/s, at most %d:%02d:%02d left",
            epoch,
            epochs,
            "=".repeat(full),
            " ".repeat(BAR - full),
            loss,
            wordsPerSecond,
            left / 3600,
            left / 60 % 60,
            left % 60));
  }

  @Override
  public void epoch(Epoch epoch, boolean best) {
    line(
        String.format(
            Locale.ROOT,
            "epoch %d/%d: loss %.4f, dev %s %.4f%s, %,.0f tokens/s",
            epoch.number(),
            epochs,
            epoch.loss(),
            score,
            epoch.score(),
            best ? " (best)" : "",
            epoch.words() / epoch.seconds()));
  }

  private void line(String text) {
    streams.progress("");
    streams.err().println(text);
    streams.err().flush();
  }
}

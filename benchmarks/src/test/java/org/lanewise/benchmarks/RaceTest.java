package org.lanewise.benchmarks;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalDouble;
import javax.xml.parsers.DocumentBuilderFactory;
import javax.xml.parsers.ParserConfigurationException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.lanewise.encoder.ModelDirectory;
import org.xml.sax.SAXException;

class RaceTest {
  @TempDir private Path scratch;

  @Test
  void racesAndReports() throws IOException, ParserConfigurationException, SAXException {
    Path model = TinyModel.write(scratch.resolve("tiny"));
    Path out = scratch.resolve("results");
    Path graph = scratch.resolve("given.onnx");
    try (ModelDirectory directory = ModelDirectory.open(model)) {
      OnnxGraph.write(graph, directory, OnnxGraph.Form.FUSED, OnnxGraph.Numbers.FP32);
    }
    int code =
        Main.run(
            "race",
            "--no-own",
            "--shape=" + model,
            "--threads=1",
            "--contenders=vector-fp32,ort-fp32,onnx,torch-fp32",
            "--onnx=" + graph,
            "--workloads=1x12",
            "--seconds=0.05",
            "--rounds=2",
            "--out=" + out);
    assertEquals(0, code);
    String page = Files.readString(out.resolve("race.md"));
    assertTrue(page.contains("### tiny, 1x12, 1 thread\n"), page);
    assertTrue(page.contains("\n| vector-fp32 | "), page);
    assertTrue(page.contains("× ort-fp32"), page);
    assertTrue(page.contains("given graph, 1 thread, batches of 1"), page);
    assertTrue(
        page.contains("| tiny | torch-fp32 | not available: no interpreter was given"), page);
    assertEquals(
        "svg",
        DocumentBuilderFactory.newInstance()
            .newDocumentBuilder()
            .parse(out.resolve("race.svg").toFile())
            .getDocumentElement()
            .getTagName());
  }

  @Test
  void refusesUnknownContenders() {
    assertEquals(2, Main.run("race", "--contenders=nobody"));
  }

  @Test
  void ratiosCompareRoundByRound() {
    Timing ours = timing(1, 2, 3);
    Timing theirs = timing(2, 2, 9);
    assertArrayEquals(new double[] {1, 2, 3}, ours.timesAsFastAs(theirs));
    assertEquals(2, ours.seconds());
    assertEquals(2.5, Timing.median(1, 4, 2, 3));
  }

  @Test
  void goalsAreMetOnTheirOwnSideOfTheLimit() {
    assertEquals("met", new Goals.Goal("speed", true, 1.1, OptionalDouble.of(1.1)).verdict());
    assertEquals("not met", new Goals.Goal("speed", true, 1.1, OptionalDouble.of(1)).verdict());
    assertEquals("met", new Goals.Goal("time", false, 0.8, OptionalDouble.of(0.7)).verdict());
    assertEquals("not met", new Goals.Goal("time", false, 0.8, OptionalDouble.of(0.9)).verdict());
    assertEquals(
        "not measured", new Goals.Goal("time", false, 0.8, OptionalDouble.empty()).verdict());
  }

  @Test
  void goalsOnAGpuAreThoseOfItsRace() {
    List<Goals.Goal> goals =
        Goals.onDevice(
            List.of(
                timing("minilm", "mix text", "cuda-bf16", 1),
                timing("minilm", "mix text", "torch-cuda-bf16", 2.5),
                timing("minilm", "mix", "cuda-bf16", 0.5),
                timing("minilm", "1x12 text", "cuda-bf16", 0.0009),
                timing("base", "long mix text", "cuda-bf16", 2)));
    assertEquals(
        List.of(
            new Goals.Goal(
                "GPU 1. minilm, mix text, threads 16: speed of cuda-bf16 over torch-cuda-bf16",
                true,
                2,
                OptionalDouble.of(2.5)),
            new Goals.Goal(
                "GPU 3. minilm, mix: time of cuda-bf16 from strings over that from tokens",
                false,
                1.1,
                OptionalDouble.of(2)),
            new Goals.Goal(
                "GPU 4. minilm, one text: milliseconds of cuda-bf16",
                false,
                1,
                OptionalDouble.of(0.9)),
            new Goals.Goal(
                "GPU 1. base, long mix text, threads 16: speed of cuda-bf16 over torch-cuda-bf16",
                true,
                1.2,
                OptionalDouble.empty())),
        goals);
  }

  private static Timing timing(String shape, String workload, String contender, double seconds) {
    return new Timing(shape, 16, workload, 10, contender, "setting", 0, new double[] {seconds});
  }

  private static Timing timing(double... rounds) {
    return new Timing("shape", 1, "workload", 10, "contender", "setting", 0, rounds);
  }
}

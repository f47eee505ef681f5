package org.lanewise.plugin.encode;

import java.io.IOException;
import java.util.Optional;
import org.elasticsearch.common.Strings;
import org.elasticsearch.common.io.stream.BytesStreamOutput;
import org.elasticsearch.test.ESTestCase;
import org.lanewise.encoder.DeviceReport;

public class ModelStatsTests extends ESTestCase {
  private static final WorkStats WORK = new WorkStats(1, 2, 3, 4, 5, 6);

  private static String json(Optional<DeviceReport> device) throws IOException {
    ModelStats stats = new ModelStats("vector", "bf16", "fp32", device, WORK, WORK);
    try (BytesStreamOutput out = new BytesStreamOutput()) {
      stats.writeTo(out);
      assertEquals(stats, new ModelStats(out.bytes().streamInput()));
    }
    String json = Strings.toString(stats);
    return json.substring(0, json.indexOf("\"texts\""));
  }

  public void testADeviceIsToldOfWhereThereIsOne() throws IOException {
    String model = "{\"backend\":\"vector\",\"precision\":\"bf16\",\"kernels\":\"fp32\",";
    assertEquals(model, json(Optional.empty()));
    assertEquals(
        model + "\"device\":{\"halved_batches\":1,\"processor_batches\":2,\"lost\":\"gone\"},",
        json(Optional.of(new DeviceReport(1, 2, Optional.of("gone"), Optional.empty()))));
    assertEquals(
        model
            + "\"device\":{\"halved_batches\":0,\"processor_batches\":0,\"lost\":null,"
            + "\"choice\":\"cuda is not used: it is full\"},",
        json(
            Optional.of(
                new DeviceReport(
                    0, 0, Optional.empty(), Optional.of("cuda is not used: it is full")))));
  }
}

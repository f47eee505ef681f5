package org.lanewise.cli;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonFactoryBuilder;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.StreamWriteFeature;
import com.fasterxml.jackson.core.json.JsonWriteFeature;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;

/**
 * What a command reads from and writes to.
 *
 * @param terminal whether a person watches {@code err}, so that progress may be shown there
 */
record Streams(InputStream in, PrintStream out, PrintStream err, boolean terminal) {
  // ASCII only: no reader of lines takes U+2028 or U+0085 in an answer for the end of a line.
  private static final JsonFactory JSON =
      new JsonFactoryBuilder()
          .rootValueSeparator((String) null)
          .enable(JsonWriteFeature.ESCAPE_NON_ASCII)
          .disable(StreamWriteFeature.AUTO_CLOSE_TARGET, StreamWriteFeature.AUTO_CLOSE_CONTENT)
          .build();

  /** Returns a generator on stdout; {@link #endLine} ends each of its objects. */
  JsonGenerator json() throws IOException {
    return JSON.createGenerator(out);
  }

  static void endLine(JsonGenerator json) throws IOException {
    json.writeRaw('\n');
  }

  /** Sends what was generated so far on its way. */
  void flush(JsonGenerator json) throws IOException {
    json.flush();
    if (out.checkError()) {
      throw new IOException("stdout cannot be written, its reader may have gone");
    }
  }

  /** Shows how far a command is, in place of what it showed before; empty wipes the line. */
  void progress(String text) {
    if (terminal) {
      err.print("\r\u001b[K" + text);
      err.flush();
    }
  }
}

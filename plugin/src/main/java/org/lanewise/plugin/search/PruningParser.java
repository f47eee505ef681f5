package org.lanewise.plugin.search;

import static org.elasticsearch.xcontent.ConstructingObjectParser.optionalConstructorArg;

import org.elasticsearch.xcontent.ConstructingObjectParser;
import org.elasticsearch.xcontent.ParseField;
import org.lanewise.encoder.head.SparseVector.Pruning;

/** Reads {@code pruning} of requests: {@code top_k}, {@code max_ratio}, {@code abs_value}. */
public final class PruningParser {
  /** The parser. */
  public static final ConstructingObjectParser<Pruning, Void> PARSER =
      new ConstructingObjectParser<>(
          "pruning",
          args ->
              Question.parsed(
                  () ->
                      new Pruning(
                          args[0] == null ? Pruning.NONE.topK() : (int) args[0],
                          args[1] == null ? Pruning.NONE.maxRatio() : (double) args[1],
                          args[2] == null ? Pruning.NONE.absValue() : (double) args[2])));

  static {
    PARSER.declareInt(optionalConstructorArg(), new ParseField("top_k"));
    PARSER.declareDouble(optionalConstructorArg(), new ParseField("max_ratio"));
    PARSER.declareDouble(optionalConstructorArg(), new ParseField("abs_value"));
  }

  private PruningParser() {}
}

package org.lanewise.encoder.tokenizer;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Turns tokens back into text. */
sealed interface Decoder {
  /** Returns texts that, one after the other, are the text that the tokens stand for. */
  List<String> decode(List<String> tokens);

  /** The tokens with a space between each two. */
  record Spaced() implements Decoder {
    @Override
    public List<String> decode(List<String> tokens) {
      return List.of(String.join(" ", tokens));
    }
  }

  /** One decoder after the other. */
  record Sequence(List<Decoder> decoders) implements Decoder {
    public Sequence {
      decoders = List.copyOf(decoders);
    }

    @Override
    public List<String> decode(List<String> tokens) {
      List<String> decoded = tokens;
      for (Decoder decoder : decoders) {
        decoded = decoder.decode(decoded);
      }
      return decoded;
    }
  }

  /**
   * Continuations join the token before; English punctuation loses the space before it if asked.
   *
   * @param prefix what continuations begin with
   * @param cleanup whether to take away spaces that tokenizing added
   */
  record WordPieces(String prefix, boolean cleanup) implements Decoder {
    @Override
    public List<String> decode(List<String> tokens) {
      List<String> decoded = new ArrayList<>(tokens.size());
      for (String token : tokens) {
        String piece =
            decoded.isEmpty()
                ? token
                : token.startsWith(prefix) ? token.substring(prefix.length()) : ' ' + token;
        decoded.add(cleanup ? clean(piece) : piece);
      }
      return decoded;
    }

    private static String clean(String piece) {
      return piece
          .replace(" .", ".")
          .replace(" ?", "?")
          .replace(" !", "!")
          .replace(" ,", ",")
          .replace(" ' ", "'")
          .replace(" n't", "n't")
          .replace(" 'm", "'m")
          .replace(" do not", " don't")
          .replace(" 's", "'s")
          .replace(" 've", "'ve")
          .replace(" 're", "'re");
    }
  }

  /** Letters of the {@link ByteAlphabet} are bytes again; bytes that are no UTF-8 become U+FFFD. */
  record Bytes() implements Decoder {
    @Override
    public List<String> decode(List<String> tokens) {
      List<byte[]> parts = new ArrayList<>(tokens.size());
      int size = 0;
      for (String token : tokens) {
        byte[] part = bytes(token);
        parts.add(part);
        size += part.length;
      }
      ByteBuffer all = ByteBuffer.allocate(size);
      parts.forEach(all::put);
      return List.of(new String(all.array(), StandardCharsets.UTF_8));
    }

    /** Returns the bytes of a token, or its UTF-8 if it has other letters too. */
    private static byte[] bytes(String token) {
      byte[] bytes = new byte[token.length()];
      for (int i = 0; i < bytes.length; i++) {
        int value = ByteAlphabet.value(token.charAt(i));
        if (value < 0) {
          return token.getBytes(StandardCharsets.UTF_8);
        }
        bytes[i] = (byte) value;
      }
      return bytes;
    }
  }

  /**
   * Replaced spaces are spaces again.
   *
   * @param prepended whether the first token lost its spaces because one was put there
   */
  record Metaspace(char replacement, boolean prepended) implements Decoder {
    @Override
    public List<String> decode(List<String> tokens) {
      List<String> decoded = new ArrayList<>(tokens.size());
      for (String token : tokens) {
        String space = decoded.isEmpty() && prepended ? "" : " ";
        decoded.add(token.replace(String.valueOf(replacement), space));
      }
      return decoded;
    }
  }

  /** Tokens such as {@code <0x0A>} are bytes; those in a row that are no UTF-8 are U+FFFD each. */
  record ByteFallback() implements Decoder {
    private static final Pattern BYTE = Pattern.compile("<0x([0-9A-Fa-f]{2})>");

    @Override
    public List<String> decode(List<String> tokens) {
      List<String> decoded = new ArrayList<>(tokens.size());
      List<Byte> open = new ArrayList<>();
      for (String token : tokens) {
        Matcher matcher = BYTE.matcher(token);
        if (matcher.matches()) {
          open.add((byte) Integer.parseInt(matcher.group(1), 16));
        } else {
          flush(open, decoded);
          decoded.add(token);
        }
      }
      flush(open, decoded);
      return decoded;
    }

    private static void flush(List<Byte> open, List<String> decoded) {
      if (open.isEmpty()) {
        return;
      }
      ByteBuffer bytes = ByteBuffer.allocate(open.size());
      open.forEach(bytes::put);
      try {
        decoded.add(StandardCharsets.UTF_8.newDecoder().decode(bytes.flip()).toString());
      } catch (CharacterCodingException e) {
        decoded.add("\uFFFD".repeat(open.size()));
      }
      open.clear();
    }
  }

  /** All tokens in one. */
  record Fuse() implements Decoder {
    @Override
    public List<String> decode(List<String> tokens) {
      return List.of(String.join("", tokens));
    }
  }

  /**
   * Some of a character at the ends of each token go.
   *
   * @param start most that go at the start
   * @param stop most that go at the end
   */
  record Strip(char content, int start, int stop) implements Decoder {
    @Override
    public List<String> decode(List<String> tokens) {
      List<String> decoded = new ArrayList<>(tokens.size());
      for (String token : tokens) {
        int from = 0;
        while (from < Math.min(start, token.length()) && token.charAt(from) == content) {
          from++;
        }
        int to = token.length();
        while (to > from && token.length() - to < stop && token.charAt(to - 1) == content) {
          to--;
        }
        decoded.add(token.substring(from, to));
      }
      return decoded;
    }
  }

  /** Replaces what a pattern matches in each token. */
  record Replace(TextPattern pattern, String content) implements Decoder {
    @Override
    public List<String> decode(List<String> tokens) {
      List<String> decoded = new ArrayList<>(tokens.size());
      for (String token : tokens) {
        StringBuilder text = new StringBuilder();
        int[] done = {0};
        char[] chars = token.toCharArray();
        pattern.find(
            chars,
            0,
            chars.length,
            (from, to) -> {
              text.append(chars, done[0], from - done[0]).append(content);
              done[0] = to;
            });
        decoded.add(text.append(chars, done[0], chars.length - done[0]).toString());
      }
      return decoded;
    }
  }

  /** A suffix at the end of a token is a space, and nothing at the end of the last one. */
  record WordEnds(String suffix) implements Decoder {
    @Override
    public List<String> decode(List<String> tokens) {
      List<String> decoded = new ArrayList<>(tokens.size());
      for (int i = 0; i < tokens.size(); i++) {
        decoded.add(tokens.get(i).replace(suffix, i == tokens.size() - 1 ? "" : " "));
      }
      return decoded;
    }
  }
}

package io.atoll.model.synthetic;

import io.atoll.model.gguf.GgufWriter;
import io.atoll.model.tokenizer.ByteSymbols;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.random.RandomGenerator;

/// A byte-level vocabulary of invented words, with the layout of the family's (model spec E): 256 bytes, tokens that merges make
/// of two earlier ones, the family's added tokens, and rows that fill the table up.
///
/// Words are of Latin and Cyrillic letters, many with a space in front; there are Chinese characters, too, which take two merges
/// each. It is the same for every seed of the weights.
final class SyntheticVocabulary {
    private static final int BYTES = 256;

    /// Rows behind the merged tokens, in the published vocabulary and so in every one here.
    static final int FILL = 276;

    /// The fewest rows that leave room for words.
    static final int MIN_ROWS = 1024;

    /// The most that this has been tried with: four times the published number.
    static final int MAX_ROWS = 1 << 20;

    private static final String EOS = "<|im_end|>";
    private static final String PADDING = "<|endoftext|>";

    /// Added tokens in the order of their ids.
    private static final List<String> ADDED =
            List.of(
                    PADDING,
                    "<|im_start|>",
                    EOS,
                    "<|object_ref_start|>",
                    "<|object_ref_end|>",
                    "<|box_start|>",
                    "<|box_end|>",
                    "<|quad_start|>",
                    "<|quad_end|>",
                    "<|vision_start|>",
                    "<|vision_end|>",
                    "<|vision_pad|>",
                    "<|image_pad|>",
                    "<|video_pad|>",
                    "<tool_call>",
                    "</tool_call>",
                    "<|fim_prefix|>",
                    "<|fim_middle|>",
                    "<|fim_suffix|>",
                    "<|fim_pad|>",
                    "<|repo_name|>",
                    "<|file_sep|>",
                    "<tool_response>",
                    "</tool_response>",
                    "<think>",
                    "</think>",
                    "<|audio_start|>",
                    "<|audio_end|>",
                    "<tts_pad>",
                    "<tts_text_bos>",
                    "<tts_text_eod>",
                    "<tts_text_bos_single>",
                    "<|audio_pad|>");

    /// Added tokens that are not special, though some look so.
    private static final Set<String> PLAIN =
            Set.of(
                    "<tool_call>",
                    "</tool_call>",
                    "<|fim_prefix|>",
                    "<|fim_middle|>",
                    "<|fim_suffix|>",
                    "<|fim_pad|>",
                    "<|repo_name|>",
                    "<|file_sep|>",
                    "<tool_response>",
                    "</tool_response>",
                    "<think>",
                    "</think>");

    // Kinds of tokens, as GGUF numbers them.
    private static final int NORMAL = 1;
    private static final int CONTROL = 3;
    private static final int USER_DEFINED = 4;
    private static final int UNUSED = 5;

    private static final int MAX_WORD = 14;
    private static final int MAX_ENDINGS = 800;
    private static final int FIRST_CHINESE = 0x4E00;
    private static final int MAX_CHINESE = 20_000;

    private final int base;
    private final List<String> tokens = new ArrayList<>();
    private final List<String> merges = new ArrayList<>();
    private final Set<String> known = new HashSet<>();
    private final RandomGenerator random = new SplittableRandom(1);

    /// @param rows of the embedding table
    SyntheticVocabulary(int rows) {
        base = rows - FILL;
        for (char symbol : ByteSymbols.all().toCharArray()) {
            tokens.add(String.valueOf(symbol));
        }
        known.addAll(tokens);
        int wanted = base - BYTES;
        chinese(Math.min(MAX_CHINESE, wanted / 12));
        words(letters('а', 'я'), tokens.size() + wanted / 8);
        words(letters('a', 'z'), base);
        tokens.addAll(ADDED);
        for (int id = tokens.size(); id < rows; id++) {
            tokens.add("[PAD" + id + "]");
        }
    }

    /// Characters of three bytes: the first two become a token, then all three.
    private void chinese(int count) {
        for (int i = 0; i < count; i++) {
            String symbols = symbols(FIRST_CHINESE + i);
            String start = symbols.substring(0, 2);
            if (!known.contains(start)) {
                merge(start.substring(0, 1), start.substring(1));
            }
            merge(start, symbols.substring(2));
        }
    }

    /// The letters of an alphabet as symbols, each one token.
    private List<String> letters(int first, int last) {
        List<String> letters = new ArrayList<>();
        for (int letter = first; letter <= last; letter++) {
            String symbols = symbols(letter);
            if (symbols.length() == 2) {
                merge(symbols.substring(0, 1), symbols.substring(1));
            }
            letters.add(symbols);
        }
        return letters;
    }

    /// Appends short words to longer ones until the vocabulary has `size` tokens. The space begins words only.
    private void words(List<String> letters, int size) {
        List<String> beginnings = new ArrayList<>(letters);
        List<String> endings = new ArrayList<>(letters);
        String space = String.valueOf(ByteSymbols.symbol(' '));
        beginnings.add(space);
        while (tokens.size() < size) {
            String left = beginnings.get(random.nextInt(beginnings.size()));
            String right = endings.get(random.nextInt(endings.size()));
            String word = left + right;
            if (word.length() <= MAX_WORD && !known.contains(word)) {
                merge(left, right);
                beginnings.add(word);
                if (!word.startsWith(space) && endings.size() < MAX_ENDINGS) {
                    endings.add(word);
                }
            }
        }
    }

    private void merge(String left, String right) {
        merges.add(left + " " + right);
        tokens.add(left + right);
        known.add(left + right);
    }

    private static String symbols(int codePoint) {
        StringBuilder symbols = new StringBuilder();
        for (byte value : Character.toString(codePoint).getBytes(StandardCharsets.UTF_8)) {
            symbols.append(ByteSymbols.symbol(value & 0xFF));
        }
        return symbols.toString();
    }

    /// Tokens that may be emitted: all but the rows that fill up.
    int tokenCount() {
        return base + ADDED.size();
    }

    void writeTo(GgufWriter out) {
        int[] kinds = new int[tokens.size()];
        for (int id = 0; id < kinds.length; id++) {
            kinds[id] = kind(id);
        }
        out.string("tokenizer.ggml.model", "gpt2")
                .string("tokenizer.ggml.pre", "qwen35")
                .strings("tokenizer.ggml.tokens", tokens)
                .integers("tokenizer.ggml.token_type", kinds)
                .strings("tokenizer.ggml.merges", merges)
                .u32("tokenizer.ggml.eos_token_id", base + ADDED.indexOf(EOS))
                .u32("tokenizer.ggml.padding_token_id", base + ADDED.indexOf(PADDING))
                .bool("tokenizer.ggml.add_bos_token", false);
    }

    private int kind(int id) {
        if (id < base) {
            return NORMAL;
        }
        if (id >= tokenCount()) {
            return UNUSED;
        }
        return PLAIN.contains(tokens.get(id)) ? USER_DEFINED : CONTROL;
    }
}

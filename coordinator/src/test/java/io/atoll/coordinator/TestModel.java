package io.atoll.coordinator;

import io.atoll.attention.step.AttentionWorkerInfo;
import io.atoll.coordinator.sequence.ServedModel;
import io.atoll.model.ModelDirectory;
import io.atoll.model.chat.ChatTemplate;
import java.nio.file.Path;
import java.util.Arrays;

/// The demo model's text side, loaded once, and a worker that pretends to have its weights.
public final class TestModel {
    public static final int MAX_SEQUENCE_TOKENS = 512;
    public static final int MAX_SEQUENCES = 4;

    /// The token that ends an assistant's turn.
    public static final int END_OF_TURN = 2018;

    private static final ServedModel MODEL = load();

    private TestModel() {}

    public static ServedModel model() {
        return MODEL;
    }

    public static int[] tokens(String text) {
        return MODEL.tokenizer().encode(text);
    }

    /// The tokens of an answer that ends by itself.
    public static int[] answer(String text) {
        int[] tokens = tokens(text);
        int[] ended = Arrays.copyOf(tokens, tokens.length + 1);
        ended[tokens.length] = END_OF_TURN;
        return ended;
    }

    public static FakeAttentionWorker worker() {
        return worker(MAX_SEQUENCE_TOKENS);
    }

    public static FakeAttentionWorker worker(int maxSequenceTokens) {
        return new FakeAttentionWorker(
                new AttentionWorkerInfo(
                        "digest",
                        "cpu-1",
                        "scalar",
                        2036,
                        maxSequenceTokens,
                        MAX_SEQUENCES,
                        64,
                        0));
    }

    private static ServedModel load() {
        String root = System.getProperty("atoll.root");
        try (ModelDirectory directory = ModelDirectory.open(Path.of(root, "demo-model"))) {
            return new ServedModel(
                    directory.name(),
                    directory.tokenizer(),
                    ChatTemplate.compile(directory.chatTemplate()),
                    directory.generationConfig());
        }
    }
}

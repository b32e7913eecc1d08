package io.atoll.model.pack;

import io.atoll.model.weights.TextWeights;
import java.util.Map;
import java.util.function.Supplier;

/// A model that is to be packed.
///
/// @param name for people
/// @param weights borrowed
/// @param digest of the model as its files are now; asked for again when everything is written
/// @param texts configuration, tokenizer and template under the names that a release gives them
public record PackSource(
        String name, TextWeights weights, Supplier<String> digest, Map<String, byte[]> texts) {
    public PackSource {
        texts = Map.copyOf(texts);
    }
}

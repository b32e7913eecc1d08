package io.atoll.model.config;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/// What `generation_config.json` says: where generation stops and how to sample when a request does not say.
///
/// A field the file leaves out is neutral, so that the model's own distribution is sampled.
///
/// @param eosTokenIds tokens that end an answer
/// @param temperature divides the logits
/// @param topP keeps the smallest set of tokens with at least this probability; 1 keeps all
/// @param topK keeps this many tokens; 0 keeps all
/// @param doSample false asks for the most probable token always
public record GenerationConfig(
        Set<Integer> eosTokenIds, double temperature, double topP, int topK, boolean doSample) {

    public GenerationConfig {
        eosTokenIds = Set.copyOf(eosTokenIds);
        if (!(temperature >= 0) || !Double.isFinite(temperature)) {
            throw new IllegalArgumentException(
                    "temperature must be finite and not negative: " + temperature);
        }
        if (!(topP > 0 && topP <= 1)) {
            throw new IllegalArgumentException("topP must be in (0, 1]: " + topP);
        }
        if (topK < 0) {
            throw new IllegalArgumentException("topK must not be negative: " + topK);
        }
    }

    /// What holds when a model has no such file: it stops at the ids of its `config.json`.
    public static GenerationConfig defaults(TextConfig text) {
        return new GenerationConfig(new TreeSet<>(text.eosTokenIds()), 1, 1, 0, true);
    }

    /// Reads the file, or gives the defaults if there is none.
    ///
    /// @throws ConfigException if the file is damaged or a value is out of range
    public static GenerationConfig read(Path file, TextConfig text) {
        if (!Files.exists(file)) {
            return defaults(text);
        }
        JsonFields fields = JsonFields.read(file);
        List<Integer> eos = fields.integerOrIntegers("eos_token_id", 0, text.vocabSize() - 1);
        return new GenerationConfig(
                new LinkedHashSet<>(eos.isEmpty() ? text.eosTokenIds() : eos),
                fields.number("temperature", 0, 100, 1),
                fields.number("top_p", 1e-9, 1, 1),
                fields.integer("top_k", 0, Integer.MAX_VALUE, 0),
                fields.bool("do_sample", true));
    }
}

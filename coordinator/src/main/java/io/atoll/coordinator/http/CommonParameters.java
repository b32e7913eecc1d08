package io.atoll.coordinator.http;

import com.fasterxml.jackson.databind.JsonNode;
import io.atoll.attention.step.OutputConstraint;
import io.atoll.attention.step.SamplingParameters;
import io.atoll.coordinator.sequence.GenerationRequest;
import io.atoll.coordinator.sequence.OutputFormat;
import io.atoll.coordinator.sequence.ServedModel;
import io.atoll.model.config.GenerationConfig;
import io.atoll.model.tokenizer.Tokenizer;
import io.atoll.proto.ErrorCode;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;

/// The fields that both completion endpoints share.
///
/// @param sampling how the tokens of the first choice are chosen
/// @param choices how many answers are wanted
/// @param maxOutputTokens what the client asked for, if it did
/// @param ignoreEos whether the answer goes on past the model's end tokens, up to its limit; for measurements
/// @param stream whether the answer comes in pieces
/// @param includeUsage whether a streamed answer ends with its token counts
record CommonParameters(
        SamplingParameters sampling,
        int choices,
        OptionalInt maxOutputTokens,
        List<String> stopStrings,
        boolean ignoreEos,
        boolean stream,
        boolean includeUsage) {
    private static final int MAX_STOP_STRINGS = 4;
    private static final int MAX_STOP_CHARACTERS = 1000;
    private static final int MAX_CHOICES = 16;
    private static final int MAX_BIASES = 1024;

    /// Fields that would change the answer and that nobody implements here, whatever their value.
    private static final List<String> UNSUPPORTED =
            List.of(
                    "functions",
                    "function_call",
                    "audio",
                    "prediction",
                    "web_search_options",
                    "guided_json",
                    "guided_regex",
                    "guided_choice",
                    "guided_grammar",
                    "stop_token_ids",
                    "min_tokens",
                    "prompt_logprobs",
                    "suffix");

    /// @param limits what may be asked for
    /// @param model the served model: another one is refused, and its defaults hold where the request says nothing
    static CommonParameters read(JsonFields body, RequestLimits limits, ServedModel model) {
        checkModel(body, model);
        refuseUnsupported(body);
        checkIgnored(body);
        boolean stream = body.bool("stream", false);
        boolean includeUsage = includeUsage(body, stream);
        return new CommonParameters(
                sampling(body, model),
                body.integer("n", 1, MAX_CHOICES).orElse(1),
                maxOutputTokens(body, limits),
                stopStrings(body),
                body.bool("ignore_eos", false),
                stream,
                includeUsage);
    }

    /// Refuses requests for another model than the served one.
    static void checkModel(JsonFields body, ServedModel model) {
        body.string("model")
                .filter(name -> !name.equals(model.name()))
                .ifPresent(
                        name -> {
                            throw modelNotFound(name, model.name());
                        });
    }

    /// How the tokens of each choice are chosen: all but the first with a seed of their own.
    List<SamplingParameters> samplings() {
        List<SamplingParameters> all = new ArrayList<>(choices);
        for (int i = 0; i < choices; i++) {
            all.add(sampling.withSeed(sampling.seed() + i));
        }
        return all;
    }

    /// One request for each choice.
    ///
    /// @param promptLogprobs see [GenerationRequest], as are `constraint` and `priority`
    List<GenerationRequest> requests(
            ServedModel model,
            HttpSettings settings,
            int[] prompt,
            int outputTokens,
            OutputFormat format,
            OptionalInt topLogprobs,
            boolean promptLogprobs,
            Optional<OutputConstraint> constraint,
            int priority) {
        int[] checkpoints = model.checkpoints(prompt);
        List<GenerationRequest> requests = new ArrayList<>();
        for (SamplingParameters sampling : samplings()) {
            requests.add(
                    new GenerationRequest(
                            prompt,
                            checkpoints,
                            outputTokens,
                            sampling,
                            stopTokens(model.generation()),
                            stopStrings,
                            format,
                            topLogprobs,
                            promptLogprobs,
                            constraint,
                            priority,
                            settings.maxQueueTime(),
                            settings.requestTimeout()));
        }
        return requests;
    }

    /// The tokens that end the answer.
    private Set<Integer> stopTokens(GenerationConfig model) {
        return ignoreEos ? Set.of() : model.eosTokenIds();
    }

    static RequestException modelNotFound(String name, String served) {
        return RequestException.of(
                ErrorCode.MODEL_NOT_FOUND,
                "model",
                "no such model: " + name + "; this server has " + served);
    }

    private static void refuseUnsupported(JsonFields body) {
        for (String field : UNSUPPORTED) {
            if (body.has(field)) {
                throw RequestException.unsupported(field);
            }
        }
        refuseMoreThanOne(body, "best_of");
        body.node("modalities")
                .filter(wanted -> !(wanted.size() == 1 && wanted.path(0).asText().equals("text")))
                .ifPresent(
                        wanted -> {
                            throw RequestException.unsupported("modalities");
                        });
    }

    private static void refuseMoreThanOne(JsonFields body, String field) {
        if (body.integer(field, 1, Integer.MAX_VALUE).orElse(1) != 1) {
            throw RequestException.invalid(field, "above 1 is not supported yet");
        }
    }

    private static boolean includeUsage(JsonFields body, boolean stream) {
        if (!body.has("stream_options")) {
            return false;
        }
        if (!stream) {
            throw RequestException.invalid("stream_options", "needs stream to be true");
        }
        return body.object("stream_options").orElseThrow().bool("include_usage", false);
    }

    private static SamplingParameters sampling(JsonFields body, ServedModel model) {
        GenerationConfig defaults = model.generation();
        double temperature = defaults.doSample() ? defaults.temperature() : 0;
        int topK = topK(body, defaults.topK());
        return new SamplingParameters(
                body.number("temperature", 0, 2, temperature),
                topK,
                body.number("top_p", 0, 1, defaults.topP()),
                body.number("min_p", 0, 1, 0),
                body.number("presence_penalty", -2, 2, 0),
                body.number("frequency_penalty", -2, 2, 0),
                body.number("repetition_penalty", 0.01, 10, 1),
                body.wholeNumber("seed").orElseGet(() -> ThreadLocalRandom.current().nextLong()),
                logitBias(body, model.tokenizer()));
    }

    /// `{"token id": bias}`
    private static Map<Integer, Float> logitBias(JsonFields body, Tokenizer tokenizer) {
        Map<Integer, Float> biases = new HashMap<>();
        JsonFields given = body.object("logit_bias").orElse(null);
        if (given == null) {
            return biases;
        }
        for (String name : given.names()) {
            int token = name.matches("[0-9]{1,9}") ? Integer.parseInt(name) : -1;
            if (!tokenizer.isToken(token)) {
                throw RequestException.invalid(given.path(name), "is no token of the model");
            }
            biases.put(token, given.number(name, -100, 100, 0));
        }
        if (biases.size() > MAX_BIASES) {
            throw RequestException.invalid(
                    "logit_bias", "must have at most " + MAX_BIASES + " tokens: " + biases.size());
        }
        return biases;
    }

    /// Fields that change nothing here, but must be what they claim to be.
    private static void checkIgnored(JsonFields body) {
        body.string("user");
    }

    /// Some clients write -1 for "all".
    private static int topK(JsonFields body, int absent) {
        return Math.max(0, body.integer("top_k", -1, Integer.MAX_VALUE).orElse(absent));
    }

    private static OptionalInt maxOutputTokens(JsonFields body, RequestLimits limits) {
        // The older name counts only where the newer one is absent.
        String field = body.has("max_completion_tokens") ? "max_completion_tokens" : "max_tokens";
        return body.integer(field, 1, limits.maxOutputTokens());
    }

    private static List<String> stopStrings(JsonFields body) {
        JsonNode value = body.node("stop").orElse(null);
        if (value == null) {
            return List.of();
        }
        List<String> stops = new ArrayList<>();
        if (value.isTextual()) {
            stops.add(stopString(value, "stop"));
        } else if (value.isArray()) {
            for (JsonFields.Element element : JsonFields.elements(value, "stop")) {
                stops.add(stopString(element.value(), element.path()));
            }
        } else {
            throw JsonFields.wrongType("stop", "a string or an array of strings", value);
        }
        if (stops.size() > MAX_STOP_STRINGS) {
            throw RequestException.invalid(
                    "stop", "must have at most " + MAX_STOP_STRINGS + " strings: " + stops.size());
        }
        return stops;
    }

    private static String stopString(JsonNode value, String path) {
        String stop = JsonFields.string(value, path);
        if (stop.isEmpty() || stop.length() > MAX_STOP_CHARACTERS) {
            throw RequestException.invalid(
                    path,
                    "must have from 1 to " + MAX_STOP_CHARACTERS + " characters: " + stop.length());
        }
        return stop;
    }
}

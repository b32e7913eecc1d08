package io.atoll.cli.conformance;

import io.atoll.model.ModelDirectory;
import io.atoll.model.chat.ChatTemplate;
import io.atoll.model.tokenizer.Tokenizer;
import io.atoll.model.trace.ForwardObserver;
import java.util.Arrays;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/// `generate/`: a request becomes a prompt, the prompt ids, and the ids the most likely answer, which becomes text.
final class GenerateSuite implements Suite {
    private static final String GENERATE = "generate";

    @Override
    public String name() {
        return GENERATE;
    }

    @Override
    public void run(FixtureSet fixtures, Engine.Opener engines, Checks checks) {
        GoldenJson golden = GoldenJson.read(fixtures.file(GENERATE, "generate.json"));
        try (ModelDirectory model = ModelDirectory.open(fixtures.model());
                Tokenizer tokenizer = model.tokenizer();
                Engine engine = engines.open(model.path())) {
            Set<Integer> stops = new TreeSet<>(model.generationConfig().eosTokenIds());
            Set<Integer> goldenStops = new TreeSet<>();
            Arrays.stream(golden.get("stop_ids").integers()).forEach(goldenStops::add);
            checks.equal("stop_ids", goldenStops, stops);
            ChatTemplate template = ChatTemplate.compile(model.chatTemplate());
            int maxTokens = golden.get("max_tokens").integer();
            for (GoldenJson generation : golden.get("cases").items()) {
                String where = "case " + generation.get("id").integer() + " ";
                request(generation, where, template, tokenizer, checks);
                answer(generation, where, maxTokens, stops, tokenizer, engine, checks);
            }
        }
    }

    private static void request(
            GoldenJson generation,
            String where,
            ChatTemplate template,
            Tokenizer tokenizer,
            Checks checks) {
        GoldenJson request = generation.get("request");
        Map<String, Object> options = request.map();
        options.keySet().removeAll(Set.of("messages", "tools"));
        String prompt =
                template.render(
                        request.get("messages").maps(),
                        request.optional("tools").map(GoldenJson::maps),
                        options);
        checks.text(where + "prompt", generation.get("prompt").text(), prompt);
        checks.ids(
                where + "prompt_ids",
                generation.get("prompt_ids").integers(),
                tokenizer.encode(prompt));
    }

    private static void answer(
            GoldenJson generation,
            String where,
            int maxTokens,
            Set<Integer> stops,
            Tokenizer tokenizer,
            Engine engine,
            Checks checks) {
        int[] expected = generation.get("generated_ids").integers();
        checks.text(
                where + "text", generation.get("text").text(), tokenizer.decode(expected, true));
        checks.text(
                where + "raw_text",
                generation.get("raw_text").text(),
                tokenizer.decode(expected, false));

        int[] prompt = generation.get("prompt_ids").integers();
        int[] found = greedy(prompt, maxTokens, stops, tokenizer, engine);
        switch (generation.get("class").text()) {
            case "exact" -> {
                checks.ids(where + "generated_ids", expected, found);
                boolean stopped = stops.contains(found[found.length - 1]);
                checks.text(
                        where + "finish_reason",
                        generation.get("finish_reason").text(),
                        stopped ? "stop" : "length");
            }
            case "near-tie" -> {
                // From the tie on, either of two tokens is right, and what follows depends on
                // which.
                int until = generation.get("min_gap_at").integer();
                checks.ids(
                        where + "generated_ids until the tie",
                        Arrays.copyOf(expected, Math.min(until, expected.length)),
                        Arrays.copyOf(found, Math.min(until, found.length)));
            }
            default ->
                    checks.fail(where + "class", "unknown class " + generation.get("class").text());
        }
    }

    /// The most likely answer, at most `maxTokens` tokens, the stop token included. Ids that are no tokens are never chosen.
    private static int[] greedy(
            int[] prompt, int maxTokens, Set<Integer> stops, Tokenizer tokenizer, Engine engine) {
        int[] answer = new int[maxTokens];
        try (Engine.Sequence sequence = engine.open(prompt.length + maxTokens)) {
            float[][] logits = sequence.feed(prompt, ForwardObserver.NONE);
            for (int n = 0; n < maxTokens; n++) {
                float[] last = logits[logits.length - 1];
                answer[n] = Logits.largest(last, Math.min(tokenizer.size(), last.length));
                if (stops.contains(answer[n])) {
                    return Arrays.copyOf(answer, n + 1);
                }
                if (n + 1 < maxTokens) {
                    logits = sequence.feed(new int[] {answer[n]}, ForwardObserver.NONE);
                }
            }
        }
        return answer;
    }
}

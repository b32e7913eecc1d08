package io.atoll.cli.chaos;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.atoll.cli.client.ApiClient;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;

/// Streams that ask the same few questions again and again, and compare each answer with the undisturbed one.
///
/// A question has a seed and samples at temperature 1, so any change in any logit's bits is likely to show in its text.
final class StreamLoad {
    private static final List<String> PROMPTS =
            List.of(
                    "Tell me a story.",
                    "What is the capital of France?",
                    "Say hello in Korean.",
                    "Count from 1 to 9.");
    private static final int ANSWER_TOKENS = 240;

    private final ApiClient client;
    private final Consumer<String> complaints;
    private final List<ObjectNode> questions = new ArrayList<>();
    private final List<String> undisturbed = new ArrayList<>();
    private final List<Stream> streams = new ArrayList<>();
    private final AtomicInteger sent = new AtomicInteger();
    private final AtomicInteger answered = new AtomicInteger();
    private final AtomicInteger failed = new AtomicInteger();
    private final AtomicInteger changed = new AtomicInteger();
    private volatile boolean stopping;

    /// @param seed decides the questions and their order
    /// @param complaints is told of each request that failed or changed
    StreamLoad(
            ApiClient client, String model, int streams, long seed, Consumer<String> complaints) {
        this.client = client;
        this.complaints = complaints;
        Random random = new Random(seed);
        for (String prompt : PROMPTS) {
            ObjectNode question = JsonNodeFactory.instance.objectNode();
            question.put("model", model).put("max_tokens", ANSWER_TOKENS).put("ignore_eos", true);
            question.put("temperature", 1.0).put("seed", random.nextInt(1_000_000));
            question.putArray("messages").addObject().put("role", "user").put("content", prompt);
            questions.add(question);
        }
        for (int i = 0; i < streams; i++) {
            this.streams.add(new Stream(random.nextLong()));
        }
    }

    /// What became of the requests so far.
    ///
    /// @param changed answers whose text is not the undisturbed one; they count as answered as well
    record Totals(int sent, int answered, int failed, int changed) {
        boolean isFlawless() {
            return failed == 0 && changed == 0;
        }
    }

    /// Different questions.
    int questions() {
        return questions.size();
    }

    Totals totals() {
        return new Totals(sent.get(), answered.get(), failed.get(), changed.get());
    }

    /// Asks each question once, with nobody else there, and keeps the answers.
    ///
    /// @return tokens of all answers
    int ask() throws IOException, InterruptedException {
        int tokens = 0;
        for (ObjectNode question : questions) {
            ApiClient.Answer answer = client.chat(question.deepCopy(), ApiClient.Listener.SILENT);
            undisturbed.add(text(answer));
            tokens += answer.completionTokens();
        }
        return tokens;
    }

    private static String text(ApiClient.Answer answer) {
        return answer.reasoning() + "\n" + answer.content();
    }

    void start() {
        streams.forEach(stream -> stream.thread.start());
    }

    /// Begins to look for the longest gap anew.
    void resetGaps() {
        streams.forEach(Stream::resetGap);
    }

    /// Longest time without a token in any stream since [#resetGaps], one that lasts still included.
    Duration longestGap() {
        return Duration.ofNanos(streams.stream().mapToLong(Stream::gapNanos).max().orElse(0));
    }

    /// Lets the streams end their present answers.
    ///
    /// @return whether all did
    boolean finish(Duration patience) throws InterruptedException {
        stopping = true;
        long end = System.nanoTime() + patience.toNanos();
        boolean all = true;
        for (Stream stream : streams) {
            long left = Math.max(1, end - System.nanoTime());
            all &= stream.thread.join(Duration.ofNanos(left));
        }
        return all;
    }

    /// One question after another.
    private final class Stream implements ApiClient.Listener {
        private final Random random;
        private final Thread thread = Thread.ofVirtual().unstarted(this::run);
        private final AtomicLong longestNanos = new AtomicLong();

        /// When the present wait for a token began; 0 while nothing is asked.
        private final AtomicLong waitsSinceNanos = new AtomicLong();

        Stream(long seed) {
            random = new Random(seed);
        }

        private void run() {
            while (!stopping) {
                int question = random.nextInt(questions.size());
                waitsSinceNanos.set(System.nanoTime());
                sent.incrementAndGet();
                try {
                    ApiClient.Answer answer = client.chat(questions.get(question).deepCopy(), this);
                    answered.incrementAndGet();
                    if (!text(answer).equals(undisturbed.get(question))) {
                        changed.incrementAndGet();
                        complaints.accept("changed: the answer to question " + question);
                    }
                } catch (IOException e) {
                    failed.incrementAndGet();
                    complaints.accept("failed: " + e.getMessage());
                } catch (InterruptedException _) {
                    return;
                }
                noteGap(System.nanoTime());
                waitsSinceNanos.set(0);
            }
        }

        @Override
        public void reasoning(String text) {}

        @Override
        public void content(String text) {}

        @Override
        public void part(long sinceStartNanos) {
            long now = System.nanoTime();
            noteGap(now);
            waitsSinceNanos.set(now);
        }

        private void noteGap(long nowNanos) {
            longestNanos.accumulateAndGet(nowNanos - waitsSinceNanos.get(), Math::max);
        }

        void resetGap() {
            longestNanos.set(0);
        }

        long gapNanos() {
            long since = waitsSinceNanos.get();
            long present = since == 0 ? 0 : System.nanoTime() - since;
            return Math.max(present, longestNanos.get());
        }
    }
}

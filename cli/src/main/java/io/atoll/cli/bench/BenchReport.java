package io.atoll.cli.bench;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.atoll.attention.forward.StageTimes.Stage;
import io.atoll.attention.moe.WorkerStatistics;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;

/// What a run of `atoll bench run` found out.
///
/// @param model its name
/// @param path where it is
/// @param kernels the kernels and threads, in words
/// @param threads compute threads of the attention stack
/// @param workers expert workers; 0 if every expert is in the measuring process
/// @param workerThreads compute threads of each worker, 0 where unknown
/// @param loadSeconds from opening the model until it can serve
/// @param warmUpSeconds before the first measurement
/// @param stable whether the rates had stopped rising by then
/// @param readBytesPerSecond of plain reading, before the model was loaded and after the measurements
/// @param peakBytes largest resident memory of this process and its workers together, if the system says
/// @param layerBytes dense weights that every step reads
/// @param headBytes of the LM head, which every step that samples reads
/// @param rows the measurements
record BenchReport(
        String model,
        String path,
        String kernels,
        int threads,
        int workers,
        int workerThreads,
        double loadSeconds,
        double warmUpSeconds,
        boolean stable,
        Range readBytesPerSecond,
        OptionalLong peakBytes,
        long layerBytes,
        long headBytes,
        List<Row> rows) {
    private static final ObjectMapper JSON = new ObjectMapper();

    /// Several measurements of the same.
    record Range(double median, double low, double high) {
        static Range of(double... values) {
            double[] sorted = values.clone();
            Arrays.sort(sorted);
            int count = sorted.length;
            double median = (sorted[(count - 1) / 2] + sorted[count / 2]) / 2;
            return new Range(median, sorted[0], sorted[count - 1]);
        }
    }

    /// Where the time of the messages to one expert worker goes, on average of a message.
    ///
    /// @param roundTripNanos from sending until the reply is there
    /// @param queueNanos of it that the message waited at the worker
    /// @param computeNanos of it that the worker computed; the rest is the network, and waking threads
    record MessageTime(
            String worker, double roundTripNanos, double queueNanos, double computeNanos) {
        /// Of what happened between two counts, oldest first; nothing if no message was answered.
        static Optional<MessageTime> between(WorkerStatistics from, WorkerStatistics to) {
            double messages = to.messages() - from.messages();
            return messages == 0
                    ? Optional.empty()
                    : Optional.of(
                            new MessageTime(
                                    to.name(),
                                    (to.roundTripNanos() - from.roundTripNanos()) / messages,
                                    (to.queueNanos() - from.queueNanos()) / messages,
                                    (to.computeNanos() - from.computeNanos()) / messages));
        }
    }

    /// One batch size and prompt length.
    ///
    /// @param batch sequences that ran together
    /// @param promptTokens of each
    /// @param generated tokens of each
    /// @param runs how many times it was measured
    /// @param promptRate prompt tokens a second, all sequences together
    /// @param generationRate generated tokens a second, all sequences together
    /// @param weightBytes read a generated token: a step's dense weights and distinct experts, over its tokens
    /// @param stageNanos of a generation step
    /// @param messages to each expert worker, while generating; empty without workers
    record Row(
            int batch,
            int promptTokens,
            int generated,
            int runs,
            Range promptRate,
            Range generationRate,
            double weightBytes,
            Map<Stage, Double> stageNanos,
            List<MessageTime> messages) {
        /// Bytes of weights a second while generating.
        double bytesPerSecond() {
            return weightBytes * generationRate.median();
        }

        double stepNanos() {
            return stageNanos.values().stream().mapToDouble(Double::doubleValue).sum();
        }
    }

    /// For people, without a newline at the end.
    String text(boolean stages) {
        StringBuilder out = new StringBuilder();
        out.append(
                String.format(
                        Locale.ROOT,
                        "%s (%s)%n%s%n%s%nloaded in %.1f s%s, warmed up for %.0f s%s%n"
                                + "plain reading: %.1f GB/s (%.1f to %.1f), %d threads%n%n",
                        model,
                        path,
                        kernels,
                        workers == 0
                                ? "experts in this process"
                                : "experts in "
                                        + workers
                                        + (workers == 1 ? " worker" : " workers")
                                        + (workerThreads == 0
                                                ? ""
                                                : ", compute threads of each: " + workerThreads),
                        loadSeconds,
                        peakBytes.isPresent()
                                ? String.format(
                                        Locale.ROOT,
                                        ", peak memory %.2f GB",
                                        peakBytes.getAsLong() / 1e9)
                                : "",
                        warmUpSeconds,
                        stable ? "" : ", and rates were still rising (see --warm-up)",
                        readBytesPerSecond.median() / 1e9,
                        readBytesPerSecond.low() / 1e9,
                        readBytesPerSecond.high() / 1e9,
                        threads));
        out.append(
                String.format(
                        Locale.ROOT,
                        "%5s %7s  %-24s %-24s %10s %14s%n",
                        "batch",
                        "prompt",
                        "prompt tokens/s",
                        "generated tokens/s",
                        "MB/token",
                        "weights read"));
        for (Row row : rows) {
            out.append(
                    String.format(
                            Locale.ROOT,
                            "%5d %7d  %-24s %-24s %10.1f %9.1f GB/s, %.0f %% of plain reading%n",
                            row.batch,
                            row.promptTokens,
                            describe(row.promptRate),
                            describe(row.generationRate),
                            row.weightBytes / 1e6,
                            row.bytesPerSecond() / 1e9,
                            100 * row.bytesPerSecond() / readBytesPerSecond.median()));
        }
        if (stages) {
            rows.forEach(row -> appendStages(out, row));
        }
        return out.toString().stripTrailing();
    }

    private static String describe(Range range) {
        return range.low() == range.high()
                ? String.format(Locale.ROOT, "%.1f", range.median())
                : String.format(
                        Locale.ROOT,
                        "%.1f (%.1f to %.1f)",
                        range.median(),
                        range.low(),
                        range.high());
    }

    private static void appendStages(StringBuilder out, Row row) {
        out.append(
                String.format(
                        Locale.ROOT,
                        "%nA generation step at batch %d after %d tokens: %.2f ms%n",
                        row.batch,
                        row.promptTokens,
                        row.stepNanos() / 1e6));
        row.stageNanos.forEach(
                (stage, nanos) ->
                        out.append(
                                String.format(
                                        Locale.ROOT,
                                        "  %-18s %8.3f ms %5.1f %%%n",
                                        name(stage).replace('_', ' '),
                                        nanos / 1e6,
                                        100 * nanos / row.stepNanos())));
        for (MessageTime time : row.messages) {
            out.append(
                    String.format(
                            Locale.ROOT,
                            "  a message to %s: %.0f us, of which it computed %.0f and had others"
                                    + " before it %.0f%n",
                            time.worker,
                            time.roundTripNanos / 1e3,
                            time.computeNanos / 1e3,
                            time.queueNanos / 1e3));
        }
    }

    private static String name(Stage stage) {
        return stage.name().toLowerCase(Locale.ROOT);
    }

    /// For programs: one object. The unit of a number is the end of its name.
    String json() {
        ObjectNode root = JSON.createObjectNode();
        root.put("model", model)
                .put("path", path)
                .put("kernels", kernels)
                .put("threads", threads)
                .put("workers", workers)
                .put("worker_threads", workerThreads)
                .put("load_seconds", loadSeconds)
                .put("warm_up_seconds", warmUpSeconds)
                .put("stable", stable);
        put(root, "read_bytes_per_second", readBytesPerSecond);
        peakBytes.ifPresent(bytes -> root.put("peak_resident_bytes", bytes));
        root.put("layer_bytes", layerBytes).put("head_bytes", headBytes);
        for (Row row : rows) {
            ObjectNode one = root.withArray("rows").addObject();
            one.put("batch", row.batch)
                    .put("prompt_tokens", row.promptTokens)
                    .put("generated_tokens", row.generated)
                    .put("runs", row.runs);
            put(one, "prompt_tokens_per_second", row.promptRate);
            put(one, "generated_tokens_per_second", row.generationRate);
            one.put("weight_bytes_per_token", row.weightBytes)
                    .put("weight_bytes_per_second", row.bytesPerSecond())
                    .put("share_of_read_speed", row.bytesPerSecond() / readBytesPerSecond.median());
            ObjectNode stages = one.putObject("step_nanos");
            row.stageNanos.forEach((stage, nanos) -> stages.put(name(stage), nanos));
            for (MessageTime time : row.messages) {
                one.withArray("worker_messages")
                        .addObject()
                        .put("worker", time.worker)
                        .put("round_trip_nanos", time.roundTripNanos)
                        .put("queue_nanos", time.queueNanos)
                        .put("compute_nanos", time.computeNanos);
            }
        }
        try {
            return JSON.writerWithDefaultPrettyPrinter().writeValueAsString(root);
        } catch (JsonProcessingException e) {
            throw new IllegalStateException("a tree of numbers and strings does not print", e);
        }
    }

    private static void put(ObjectNode node, String name, Range range) {
        node.putObject(name)
                .put("median", range.median())
                .put("low", range.low())
                .put("high", range.high());
    }
}

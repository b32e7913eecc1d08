package io.atoll.cli.load;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.ToDoubleFunction;
import java.util.stream.Stream;

/// What a load measured.
///
/// @param requests every request that was sent, in the order they ended
/// @param sessions sessions that started
/// @param sessionsNotStarted arrivals of the open loop that found too many sessions open
/// @param elapsedNanos until the last request had ended
/// @param stopped whether it was ended early
public record LoadResult(
        LoadSettings settings,
        List<RequestRecord> requests,
        int sessions,
        int sessionsNotStarted,
        long elapsedNanos,
        boolean stopped) {
    private static final double[] SHARES = {0.5, 0.9, 0.99};
    private static final ObjectMapper JSON = new ObjectMapper();

    Stream<RequestRecord> answered() {
        return requests.stream().filter(RequestRecord::isOk);
    }

    /// Milliseconds to the first token.
    Percentiles timeToFirst() {
        return millis(answered().filter(r -> r.firstNanos() >= 0), RequestRecord::firstNanos);
    }

    /// Milliseconds per token after the first, one value a request.
    Percentiles timePerToken() {
        return millis(
                answered().filter(r -> r.perTokenNanos().isPresent()),
                r -> r.perTokenNanos().orElseThrow());
    }

    /// Milliseconds between two parts of an answer, over all requests.
    Percentiles gaps() {
        return Percentiles.of(
                answered()
                        .flatMapToLong(r -> Arrays.stream(r.gapNanos()))
                        .mapToDouble(n -> n / 1e6));
    }

    /// Milliseconds from the request to the end of the answer.
    Percentiles endToEnd() {
        return millis(answered(), RequestRecord::totalNanos);
    }

    private static Percentiles millis(
            Stream<RequestRecord> requests, ToDoubleFunction<RequestRecord> nanos) {
        return Percentiles.of(requests.mapToDouble(nanos).map(n -> n / 1e6));
    }

    /// How many requests ended in which way.
    SortedMap<String, Integer> outcomes() {
        SortedMap<String, Integer> outcomes = new TreeMap<>();
        requests.forEach(r -> outcomes.merge(r.outcome(), 1, Integer::sum));
        return outcomes;
    }

    long good() {
        return requests.stream().filter(settings.slo()::keptBy).count();
    }

    double seconds() {
        return elapsedNanos / 1e9;
    }

    long promptTokens() {
        return answered().mapToLong(RequestRecord::promptTokens).sum();
    }

    long cachedTokens() {
        return answered().mapToLong(RequestRecord::cachedTokens).sum();
    }

    long completionTokens() {
        return answered().mapToLong(RequestRecord::completionTokens).sum();
    }

    /// Share of the answered requests' prompt tokens that were not computed again; 0 without any.
    double cachedShare() {
        return promptTokens() == 0 ? 0 : (double) cachedTokens() / promptTokens();
    }

    /// How the load was made, in words.
    String describeLoad() {
        String loop =
                settings.rate().isPresent()
                        ? String.format(
                                Locale.ROOT,
                                "open loop, %.3g sessions/s (Poisson)",
                                settings.rate().getAsDouble())
                        : "closed loop, " + settings.users() + " users";
        return loop
                + String.format(
                        Locale.ROOT,
                        ", up to %d turns a session, think %s, %d system words, %d words a turn,"
                                + " %d output tokens (means), seed %d",
                        settings.turns(),
                        show(settings.think()),
                        settings.systemWords(),
                        settings.turnWords(),
                        settings.outputTokens(),
                        settings.seed());
    }

    /// The limits of a good request, in words.
    String describeSlo() {
        String first = settings.slo().timeToFirst().map(d -> "TTFT <= " + show(d)).orElse("");
        String per = settings.slo().perToken().map(d -> "TPOT <= " + show(d)).orElse("");
        return first.isEmpty() && per.isEmpty()
                ? "answered"
                : first + (first.isEmpty() || per.isEmpty() ? "" : ", ") + per;
    }

    private static String show(Duration duration) {
        return duration.toMillis() % 1000 == 0
                ? duration.toSeconds() + "s"
                : duration.toMillis() + "ms";
    }

    /// For a terminal.
    public String toText() {
        StringBuilder text = new StringBuilder();
        line(
                text,
                "%s on %s%s",
                settings.model(),
                describeLoad(),
                stopped ? "; STOPPED EARLY" : "");
        line(text, "");
        line(text, "%-22s %10s %10s %10s %10s", "milliseconds", "mean", "p50", "p90", "p99");
        row(text, "time to first token", timeToFirst());
        row(text, "time per output token", timePerToken());
        row(text, "between parts", gaps());
        row(text, "end to end", endToEnd());
        line(text, "");
        line(
                text,
                "%-22s %d in %.1f s, of %d sessions%s",
                "requests",
                requests.size(),
                seconds(),
                sessions,
                sessionsNotStarted == 0
                        ? ""
                        : "; " + sessionsNotStarted + " arrivals not started, too many open");
        outcomes().forEach((kind, count) -> line(text, "  %-20s %d", kind, count));
        line(
                text,
                "%-22s %.1f tokens/s in (%.1f %% of them cached), %.1f tokens/s out",
                "throughput",
                promptTokens() / seconds(),
                100 * cachedShare(),
                completionTokens() / seconds());
        line(
                text,
                "%-22s %.3f requests/s, %.1f %% of all (%s)",
                "goodput",
                good() / seconds(),
                requests.isEmpty() ? 0 : 100.0 * good() / requests.size(),
                describeSlo());
        return text.toString();
    }

    private static void row(StringBuilder text, String name, Percentiles values) {
        if (values.isEmpty()) {
            line(text, "%-22s %10s %10s %10s %10s", name, "-", "-", "-", "-");
        } else {
            line(
                    text,
                    "%-22s %10.1f %10.1f %10.1f %10.1f",
                    name,
                    values.mean(),
                    values.at(SHARES[0]),
                    values.at(SHARES[1]),
                    values.at(SHARES[2]));
        }
    }

    @SuppressWarnings("AnnotateFormatMethod") // the annotation would be a dependency of its own
    private static void line(StringBuilder text, String format, Object... values) {
        text.append(String.format(Locale.ROOT, format, values)).append('\n');
    }

    /// For programs. What has a unit has it in its name; what was not measured is null.
    public String toJson() {
        ObjectNode json = JSON.createObjectNode();
        json.put("model", settings.model());
        json.put("load", describeLoad());
        json.put("seed", settings.seed());
        json.put("stopped_early", stopped);
        json.put("elapsed_seconds", seconds());
        json.put("sessions", sessions);
        json.put("sessions_not_started", sessionsNotStarted);
        json.put("requests", requests.size());
        ObjectNode outcomes = json.putObject("outcomes");
        outcomes().forEach(outcomes::put);
        percentiles(json, "time_to_first_token_ms", timeToFirst());
        percentiles(json, "time_per_output_token_ms", timePerToken());
        percentiles(json, "between_parts_ms", gaps());
        percentiles(json, "end_to_end_ms", endToEnd());
        json.put("prompt_tokens", promptTokens());
        json.put("cached_tokens", cachedTokens());
        json.put("cached_share", cachedShare());
        json.put("completion_tokens", completionTokens());
        json.put("prompt_tokens_per_second", promptTokens() / seconds());
        json.put("completion_tokens_per_second", completionTokens() / seconds());
        limit(json, "slo_time_to_first_token_ms", settings.slo().timeToFirst());
        limit(json, "slo_time_per_output_token_ms", settings.slo().perToken());
        json.put("good_requests", good());
        json.put("goodput_requests_per_second", good() / seconds());
        return json.toPrettyString();
    }

    private static void limit(ObjectNode json, String name, Optional<Duration> limit) {
        limit.ifPresentOrElse(d -> json.put(name, d.toMillis()), () -> json.putNull(name));
    }

    private static void percentiles(ObjectNode json, String name, Percentiles values) {
        ObjectNode node = json.putObject(name);
        if (values.isEmpty()) {
            node.putNull("mean").putNull("p50").putNull("p90").putNull("p99");
        } else {
            node.put("mean", values.mean())
                    .put("p50", values.at(SHARES[0]))
                    .put("p90", values.at(SHARES[1]))
                    .put("p99", values.at(SHARES[2]));
        }
    }
}

package io.atoll.cli.load;

import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/// A load's result as one page that needs nothing else: no script, no font, no picture from elsewhere.
public final class HtmlReport {
    private static final String STYLE =
            """
            :root{color-scheme:light dark;--back:#f6f7f9;--card:#fff;--text:#1b2430;--soft:#5d6b7c;--rule:#e1e6ec;
            --one:#1668c7;--good:#2a8a5c;--miss:#c27803;--bad:#c43d3d}
            @media(prefers-color-scheme:dark){:root{--back:#12161c;--card:#1a2029;--text:#e4e9f0;--soft:#94a1b2;--rule:#2c3541;
            --one:#5aa5f5;--good:#4fc08d;--miss:#e5a63a;--bad:#f07575}}
            *{box-sizing:border-box}
            body{margin:0;background:var(--back);color:var(--text);font:15px/1.5 system-ui,sans-serif}
            main{max-width:1240px;margin:0 auto;padding:28px 20px 48px}
            h1{font-size:26px;margin:0 0 2px}h2{font-size:15px;margin:0 0 10px}
            p{margin:0;color:var(--soft)}p.warn{color:var(--bad);font-weight:600}
            .grid2{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,440px),1fr));gap:16px;margin-top:16px}
            .tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(170px,1fr));gap:16px;margin-top:20px}
            .card{background:var(--card);border:1px solid var(--rule);border-radius:10px;padding:16px 18px;min-width:0}
            .tile b{display:block;font-size:26px;line-height:1.25;font-variant-numeric:tabular-nums}
            .tile span{color:var(--soft);font-size:13px}
            table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
            th,td{text-align:right;padding:6px 4px;border-bottom:1px solid var(--rule)}
            th:first-child,td:first-child{text-align:left}th{color:var(--soft);font-weight:500;font-size:13px}
            tr:last-child td{border-bottom:0}
            svg{width:100%;height:auto;display:block}
            .grid{stroke:var(--rule)}.tick{fill:var(--soft);font-size:11px}.axis{fill:var(--soft);font-size:12px}
            .curve{fill:none;stroke:var(--one);stroke-width:2}.limit{stroke:var(--miss);stroke-width:1.5;stroke-dasharray:5 4}
            .dotgood{fill:var(--good);opacity:.75}.dotmiss{fill:var(--miss);opacity:.85}.dotbad{fill:var(--bad)}
            .dotone{fill:var(--one);opacity:.7}
            .key{font-size:12px;color:var(--soft);margin-top:6px}.key i{display:inline-block;width:9px;height:9px;border-radius:50%;
            margin:0 5px 0 12px}.key i:first-child{margin-left:0}
            .kgood{background:var(--good)}.kmiss{background:var(--miss)}.kbad{background:var(--bad)}
            """;

    private final LoadResult result;
    private final LoadSettings.Slo slo;

    private HtmlReport(LoadResult result) {
        this.result = result;
        slo = result.settings().slo();
    }

    /// The page.
    public static String of(LoadResult result) {
        return new HtmlReport(result).page();
    }

    private String page() {
        StringBuilder page = new StringBuilder("<!doctype html><html lang=\"en\"><head>");
        page.append(
                "<meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">");
        page.append("<title>Load on ").append(Html.escape(result.settings().model()));
        page.append("</title><style>").append(STYLE).append("</style></head><body><main>");
        page.append("<h1>").append(Html.escape(result.settings().model())).append("</h1><p>");
        page.append(Html.escape(result.describeLoad())).append("</p>");
        if (result.stopped()) {
            page.append("<p class=\"warn\">Stopped early: requests that ran were cut.</p>");
        }
        tiles(page);
        page.append("<div class=\"grid2\">");
        latencies(page);
        outcomes(page);
        card(page, "Time to first token", share(result.timeToFirst(), slo.timeToFirst()));
        card(page, "Time per output token", share(result.timePerToken(), slo.perToken()));
        card(page, "Time to first token, as the load goes on", overTime() + key());
        card(page, "Requests that run", running());
        card(page, "Time to first token by tokens to compute", byPrompt());
        card(page, "Output tokens a second", rate());
        return page.append("</div></main></body></html>\n").toString();
    }

    private void tiles(StringBuilder page) {
        page.append("<div class=\"tiles\">");
        tile(page, "%.2f /s", result.good() / result.seconds(), "goodput: " + result.describeSlo());
        tile(page, "%.1f /s", result.completionTokens() / result.seconds(), "tokens out");
        tile(page, "%.0f /s", result.promptTokens() / result.seconds(), "tokens in");
        tile(page, "%.1f %%", 100 * result.cachedShare(), "of the tokens in were cached");
        tile(page, "%.0f", (double) result.requests().size(), "requests");
        tile(page, "%.1f s", result.seconds(), "of load");
        page.append("</div>");
    }

    private static void tile(StringBuilder page, String format, double value, String label) {
        page.append("<div class=\"card tile\"><b>")
                .append(String.format(Locale.ROOT, format, value))
                .append("</b><span>")
                .append(Html.escape(label))
                .append("</span></div>");
    }

    private static void card(StringBuilder page, String title, String body) {
        page.append("<section class=\"card\"><h2>").append(Html.escape(title)).append("</h2>");
        page.append(body).append("</section>");
    }

    private void latencies(StringBuilder page) {
        StringBuilder table = new StringBuilder("<table><tr><th>milliseconds</th><th>mean</th>");
        table.append("<th>p50</th><th>p90</th><th>p99</th></tr>");
        row(table, "Time to first token", result.timeToFirst());
        row(table, "Time per output token", result.timePerToken());
        row(table, "Between parts", result.gaps());
        row(table, "End to end", result.endToEnd());
        card(page, "Latency of answered requests", table + "</table>");
    }

    private static void row(StringBuilder table, String name, Percentiles values) {
        table.append("<tr><td>").append(name).append("</td>");
        for (double value :
                new double[] {values.mean(), values.at(0.5), values.at(0.9), values.at(0.99)}) {
            table.append("<td>")
                    .append(Double.isNaN(value) ? "–" : String.format(Locale.ROOT, "%,.1f", value))
                    .append("</td>");
        }
        table.append("</tr>");
    }

    private void outcomes(StringBuilder page) {
        StringBuilder table =
                new StringBuilder("<table><tr><th>how they ended</th><th>requests</th></tr>");
        result.outcomes()
                .forEach(
                        (kind, count) ->
                                table.append("<tr><td>")
                                        .append(Html.escape(kind))
                                        .append("</td><td>")
                                        .append(count)
                                        .append("</td></tr>"));
        if (result.sessionsNotStarted() > 0) {
            table.append("<tr><td>sessions not started, too many open</td><td>")
                    .append(result.sessionsNotStarted())
                    .append("</td></tr>");
        }
        card(page, "Every request", table + "</table>");
    }

    /// The share of requests that were at least that fast.
    private static String share(Percentiles values, Optional<Duration> limit) {
        double[] sorted = values.sorted();
        double max = values.isEmpty() ? 1 : sorted[sorted.length - 1];
        Plot plot = new Plot("share of requests", "milliseconds", "% of requests", max, 100);
        double[] x = new double[2 * sorted.length];
        double[] y = new double[2 * sorted.length];
        for (int i = 0; i < sorted.length; i++) {
            x[2 * i] = sorted[i];
            x[2 * i + 1] = sorted[i];
            y[2 * i] = 100.0 * i / sorted.length;
            y[2 * i + 1] = 100.0 * (i + 1) / sorted.length;
        }
        limit.ifPresent(d -> plot.limitX((double) d.toMillis()));
        return plot.line("curve", x, y).svg();
    }

    private String overTime() {
        double max = result.timeToFirst().isEmpty() ? 1 : result.timeToFirst().at(1);
        Plot plot = new Plot("over time", "seconds", "milliseconds", result.seconds(), max);
        slo.timeToFirst().ifPresent(d -> plot.limitY((double) d.toMillis()));
        for (RequestRecord r : result.requests()) {
            String style = r.isOk() ? slo.keptBy(r) ? "dotgood" : "dotmiss" : "dotbad";
            double first = Math.max(0, r.firstNanos() / 1e6);
            plot.point(style, r.startNanos() / 1e9, first, describe(r));
        }
        return plot.svg();
    }

    private static String describe(RequestRecord r) {
        return String.format(
                Locale.ROOT,
                "session %d, turn %d: %s, %d tokens in (%d cached), %d out, first after %.1f ms",
                r.session(),
                r.turn(),
                r.outcome(),
                r.promptTokens(),
                r.cachedTokens(),
                r.completionTokens(),
                r.firstNanos() / 1e6);
    }

    private static String key() {
        return "<div class=\"key\"><i class=\"kgood\"></i>good<i class=\"kmiss\"></i>too slow"
                + "<i class=\"kbad\"></i>not answered</div>";
    }

    private String byPrompt() {
        List<RequestRecord> answered = result.answered().filter(r -> r.firstNanos() >= 0).toList();
        double maxX =
                answered.stream()
                        .mapToInt(r -> r.promptTokens() - r.cachedTokens())
                        .max()
                        .orElse(1);
        double maxY = result.timeToFirst().isEmpty() ? 1 : result.timeToFirst().at(1);
        Plot plot =
                new Plot(
                        "by prompt",
                        "prompt tokens that were not cached",
                        "milliseconds",
                        maxX,
                        maxY);
        for (RequestRecord r : answered) {
            plot.point(
                    "dotone",
                    r.promptTokens() - r.cachedTokens(),
                    r.firstNanos() / 1e6,
                    describe(r));
        }
        return plot.svg();
    }

    private String running() {
        List<RequestRecord> all = result.requests();
        long[] starts = all.stream().mapToLong(RequestRecord::startNanos).sorted().toArray();
        long[] ends =
                all.stream().mapToLong(r -> r.startNanos() + r.totalNanos()).sorted().toArray();
        double[] x = new double[4 * starts.length];
        double[] y = new double[4 * starts.length];
        int now = 0;
        int most = 1;
        int s = 0;
        int e = 0;
        for (int i = 0; i < 2 * starts.length; i++) {
            boolean start = s < starts.length && starts[s] <= ends[e];
            double at = (start ? starts[s++] : ends[e++]) / 1e9;
            x[2 * i] = at;
            y[2 * i] = now;
            now += start ? 1 : -1;
            most = Math.max(most, now);
            x[2 * i + 1] = at;
            y[2 * i + 1] = now;
        }
        Plot plot = new Plot("running", "seconds", "requests", result.seconds(), most);
        return plot.line("curve", x, y).svg();
    }

    /// Tokens of the answered requests, each answer's spread evenly from its first token to its end.
    private String rate() {
        int bins = 60;
        double[] tokens = new double[bins];
        double width = result.seconds() / bins;
        result.answered()
                .filter(r -> r.firstNanos() >= 0)
                .forEach(
                        r -> {
                            double from = (r.startNanos() + r.firstNanos()) / 1e9;
                            double to =
                                    Math.max(from + 1e-6, (r.startNanos() + r.totalNanos()) / 1e9);
                            for (int bin = 0; bin < bins; bin++) {
                                double part =
                                        Math.min(to, (bin + 1) * width)
                                                - Math.max(from, bin * width);
                                tokens[bin] +=
                                        Math.max(0, part) / (to - from) * r.completionTokens();
                            }
                        });
        double[] x = new double[2 * bins];
        double[] y = new double[2 * bins];
        for (int bin = 0; bin < bins; bin++) {
            x[2 * bin] = bin * width;
            x[2 * bin + 1] = (bin + 1) * width;
            y[2 * bin] = tokens[bin] / width;
            y[2 * bin + 1] = tokens[bin] / width;
        }
        double most = Arrays.stream(y).max().orElse(1);
        Plot plot = new Plot("rate", "seconds", "tokens/s", result.seconds(), most);
        return plot.line("curve", x, y).svg();
    }
}

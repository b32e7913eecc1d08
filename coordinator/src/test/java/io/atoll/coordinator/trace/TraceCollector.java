package io.atoll.coordinator.trace;

import com.google.protobuf.ByteString;
import com.google.protobuf.UnknownFieldSet;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;

/// Takes what a tracer exports. Reads the messages by field number, as `opentelemetry/proto/trace/v1/trace.proto` has them, without
/// the exporter's own classes.
final class TraceCollector implements AutoCloseable {
    /// @param attributes in text; of a list the first value
    record Received(
            String trace,
            String id,
            String parent,
            String name,
            long kind,
            long start,
            long end,
            Map<String, String> attributes,
            boolean error,
            String model) {}

    final List<Received> spans = new CopyOnWriteArrayList<>();
    private final HttpServer server;
    private final int status;

    TraceCollector(int status) throws IOException {
        this.status = status;
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.createContext("/v1/traces", this::take);
        server.start();
    }

    URI endpoint() {
        return URI.create("http://127.0.0.1:" + server.getAddress().getPort() + "/v1/traces");
    }

    Received span(String name) {
        List<Received> found = spans.stream().filter(span -> span.name().equals(name)).toList();
        if (found.size() != 1) {
            throw new AssertionError(name + " among " + spans);
        }
        return found.getFirst();
    }

    private void take(HttpExchange exchange) throws IOException {
        UnknownFieldSet request = UnknownFieldSet.parseFrom(exchange.getRequestBody());
        for (UnknownFieldSet resource : messages(request, 1)) {
            String model =
                    attributes(messages(resource, 1).getFirst(), 1).get("gen_ai.request.model");
            for (UnknownFieldSet scope : messages(resource, 2)) {
                for (UnknownFieldSet span : messages(scope, 2)) {
                    spans.add(read(span, model));
                }
            }
        }
        exchange.sendResponseHeaders(status, -1);
        exchange.close();
    }

    private static Received read(UnknownFieldSet span, String model) throws IOException {
        List<UnknownFieldSet> state = messages(span, 15);
        return new Received(
                hex(span, 1),
                hex(span, 2),
                hex(span, 4),
                text(span, 5),
                span.getField(6).getVarintList().getFirst(),
                span.getField(7).getFixed64List().getFirst(),
                span.getField(8).getFixed64List().getFirst(),
                attributes(span, 9),
                !state.isEmpty()
                        && state.getFirst().getField(3).getVarintList().equals(List.of(2L)),
                model);
    }

    private static List<UnknownFieldSet> messages(UnknownFieldSet from, int field)
            throws IOException {
        List<UnknownFieldSet> all = new CopyOnWriteArrayList<>();
        for (ByteString bytes : from.getField(field).getLengthDelimitedList()) {
            all.add(UnknownFieldSet.parseFrom(bytes));
        }
        return all;
    }

    private static Map<String, String> attributes(UnknownFieldSet from, int field)
            throws IOException {
        Map<String, String> all = new HashMap<>();
        for (UnknownFieldSet pair : messages(from, field)) {
            all.put(text(pair, 1), value(messages(pair, 2).getFirst()));
        }
        return all;
    }

    /// A string (1), an integer (3), or the first of an array (5).
    private static String value(UnknownFieldSet any) throws IOException {
        if (any.hasField(3)) {
            return any.getField(3).getVarintList().getFirst().toString();
        }
        return any.hasField(5)
                ? value(messages(messages(any, 5).getFirst(), 1).getFirst())
                : text(any, 1);
    }

    private static String text(UnknownFieldSet from, int field) {
        List<ByteString> values = from.getField(field).getLengthDelimitedList();
        return values.isEmpty() ? "" : values.getFirst().toStringUtf8();
    }

    private static String hex(UnknownFieldSet from, int field) {
        List<ByteString> values = from.getField(field).getLengthDelimitedList();
        return values.isEmpty() ? "" : HexFormat.of().formatHex(values.getFirst().toByteArray());
    }

    @Override
    public void close() {
        server.stop(0);
    }
}

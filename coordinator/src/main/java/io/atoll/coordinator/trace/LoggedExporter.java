package io.atoll.coordinator.trace;

import io.opentelemetry.sdk.common.CompletableResultCode;
import io.opentelemetry.sdk.trace.data.SpanData;
import io.opentelemetry.sdk.trace.export.SpanExporter;
import java.util.Collection;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.logging.Level;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// Logs when a collector stops taking spans and when it takes them again, one line each, in place of the library's own line for
/// each batch.
final class LoggedExporter implements SpanExporter {
    private static final Logger log = LoggerFactory.getLogger(RequestTraces.class);

    /// Held, since a level set on a logger that nobody holds is lost with it.
    private static final java.util.logging.Logger LIBRARY =
            java.util.logging.Logger.getLogger("io.opentelemetry.exporter");

    private final SpanExporter exporter;
    private final String endpoint;
    private final AtomicBoolean failing = new AtomicBoolean();

    LoggedExporter(SpanExporter exporter, String endpoint) {
        LIBRARY.setLevel(Level.OFF);
        this.exporter = exporter;
        this.endpoint = endpoint;
    }

    @Override
    public CompletableResultCode export(Collection<SpanData> spans) {
        CompletableResultCode result = exporter.export(spans);
        return result.whenComplete(() -> completed(result, spans.size()));
    }

    private void completed(CompletableResultCode result, int spans) {
        boolean failed = !result.isSuccess();
        if (failing.getAndSet(failed) == failed) {
            return;
        }
        if (failed) {
            Throwable why = result.getFailureThrowable();
            log.warn(
                    "spans are lost: {} does not take them, first batch={}: {}",
                    endpoint,
                    spans,
                    why == null ? "no reason known" : why.toString());
        } else {
            log.info("{} takes spans again", endpoint);
        }
    }

    @Override
    public CompletableResultCode flush() {
        return exporter.flush();
    }

    @Override
    public CompletableResultCode shutdown() {
        return exporter.shutdown();
    }
}

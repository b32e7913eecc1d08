package io.atoll.coordinator.http;

import com.linecorp.armeria.common.logging.RequestLog;
import com.linecorp.armeria.server.ServiceRequestContext;
import com.linecorp.armeria.server.logging.AccessLogWriter;
import java.util.Locale;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// One line for each request that is over, in the log `atoll.access`: who, what, how it ended, how long it took and how many tokens
/// it cost. Never what was said, never a key. Health checks have no line: they come every few seconds and say nothing.
final class AccessLog implements AccessLogWriter {
    private static final Logger log = LoggerFactory.getLogger("atoll.access");
    private static final int MAX_PATH_CHARACTERS = 200;

    @Override
    public void log(RequestLog request) {
        ServiceRequestContext context = (ServiceRequestContext) request.context();
        String path = context.path(); // without the query, which is nobody's business
        if (path.startsWith("/health/") || !log.isInfoEnabled()) {
            return;
        }
        if (path.length() > MAX_PATH_CHARACTERS) {
            path = path.substring(0, MAX_PATH_CHARACTERS);
        }
        Caller caller = Caller.of(context);
        log.info(
                "key={} {} {} status={} ms={} {}",
                caller.name(),
                context.method(),
                path,
                request.responseStatus().code(),
                String.format(Locale.ROOT, "%.1f", request.totalDurationNanos() / 1e6),
                caller.summary());
    }
}

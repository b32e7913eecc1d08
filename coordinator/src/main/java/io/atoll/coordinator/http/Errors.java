package io.atoll.coordinator.http;

import com.fasterxml.jackson.databind.node.ObjectNode;
import com.linecorp.armeria.common.AggregatedHttpResponse;
import com.linecorp.armeria.common.HttpData;
import com.linecorp.armeria.common.HttpHeaderNames;
import com.linecorp.armeria.common.HttpStatus;
import com.linecorp.armeria.common.MediaType;
import com.linecorp.armeria.common.ResponseHeaders;
import com.linecorp.armeria.common.ResponseHeadersBuilder;
import io.atoll.coordinator.gate.Admission;
import io.atoll.proto.ErrorCode;
import io.atoll.proto.Failure;
import java.util.Locale;
import java.util.Optional;
import java.util.UUID;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// What a failure looks like to a client: an error object in the shape of its API, with the status of the one error table.
final class Errors {
    /// Whose shape.
    enum Style {
        /// `{"error": {"message", "type", "param", "code"}}`
        OPENAI,
        /// `{"type": "error", "error": {"type", "message"}}`
        ANTHROPIC
    }

    private static final Logger log = LoggerFactory.getLogger(Errors.class);

    private final Json json;
    private final Style style;

    Errors(Json json, Style style) {
        this.json = json;
        this.style = style;
    }

    String body(Failure failure, Optional<String> param) {
        ObjectNode root = json.object();
        if (style == Style.ANTHROPIC) {
            root.put("type", "error")
                    .putObject("error")
                    .put("type", anthropicType(failure.code()))
                    .put("message", failure.message());
            return json.write(root);
        }
        root.putObject("error")
                .put("message", failure.message())
                .put("type", type(failure.code()))
                .put("param", param.orElse(null))
                .put("code", code(failure.code()));
        return json.write(root);
    }

    AggregatedHttpResponse response(Failure failure) {
        return response(failure, Optional.empty());
    }

    AggregatedHttpResponse response(RequestException refusal) {
        return response(refusal.failure(), refusal.param());
    }

    /// What an API key's request gets that goes no further.
    AggregatedHttpResponse response(Admission.Refused refused) {
        return response(refused.failure(), Optional.empty(), refused.retryAfterSeconds());
    }

    private AggregatedHttpResponse response(Failure failure, Optional<String> param) {
        // A full queue moves on with each answer; a lost worker takes longer to come back.
        int seconds = failure.code() == ErrorCode.OVERLOADED ? 1 : 5;
        return response(failure, param, failure.code().retryHelps() ? seconds : 0);
    }

    private AggregatedHttpResponse response(
            Failure failure, Optional<String> param, int retryAfterSeconds) {
        ErrorCode code = failure.code();
        ResponseHeadersBuilder headers =
                ResponseHeaders.builder(HttpStatus.valueOf(code.httpStatus()))
                        .contentType(MediaType.JSON);
        if (retryAfterSeconds > 0) {
            headers.setInt(HttpHeaderNames.RETRY_AFTER, retryAfterSeconds);
        }
        if (code == ErrorCode.INVALID_API_KEY) {
            headers.set(HttpHeaderNames.WWW_AUTHENTICATE, "Bearer"); // RFC 9110, 15.5.2
        }
        return AggregatedHttpResponse.of(headers.build(), HttpData.ofUtf8(body(failure, param)));
    }

    /// A bug: logged once here, under an id that is all the client sees of it.
    Failure bug(Throwable cause) {
        String id = UUID.randomUUID().toString();
        log.error("internal error {}", id, cause);
        return new Failure(ErrorCode.INTERNAL, "internal error, id=" + id);
    }

    private static String type(ErrorCode code) {
        return switch (code.kind()) {
            case USER -> "invalid_request_error";
            case OVERLOAD -> "overloaded_error";
            case INTERNAL -> "server_error";
        };
    }

    private static String anthropicType(ErrorCode code) {
        return switch (code.httpStatus()) {
            case 401 -> "authentication_error";
            case 403 -> "permission_error";
            case 404 -> "not_found_error";
            case 413 -> "request_too_large";
            case 429 -> "rate_limit_error";
            case 503 -> "overloaded_error";
            case 504 -> "timeout_error";
            default -> code.kind() == ErrorCode.Kind.USER ? "invalid_request_error" : "api_error";
        };
    }

    /// The table's name, but for the one that clients look for under OpenAI's.
    private static String code(ErrorCode code) {
        return code == ErrorCode.PROMPT_TOO_LONG
                ? "context_length_exceeded"
                : code.name().toLowerCase(Locale.ROOT);
    }
}

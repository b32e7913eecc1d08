package io.atoll.coordinator.http;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonLocation;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.atoll.proto.ErrorCode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.LinkedHashMap;
import java.util.Map;

/// JSON in and out, within bounds.
final class Json {
    private final JsonMapper mapper;

    Json(HttpSettings settings) {
        JsonFactory factory =
                JsonFactory.builder()
                        .streamReadConstraints(
                                StreamReadConstraints.builder()
                                        .maxNestingDepth(settings.maxJsonDepth())
                                        .maxStringLength(settings.maxBodyBytes())
                                        .maxDocumentLength(settings.maxBodyBytes())
                                        .maxNumberLength(100)
                                        .build())
                        .build();
        this.mapper =
                JsonMapper.builder(factory)
                        .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
                        .build();
    }

    /// Reads a request body.
    ///
    /// @throws RequestException if it is no JSON object, with the position
    JsonFields body(byte[] body) {
        JsonNode root;
        try {
            root = mapper.readTree(body);
        } catch (JsonProcessingException e) {
            throw RequestException.of(
                    ErrorCode.INVALID_REQUEST,
                    "the body is not valid JSON" + position(e.getLocation()) + problem(e));
        } catch (IOException e) {
            throw new UncheckedIOException(e); // there is no I/O in an array
        }
        if (!(root instanceof ObjectNode object)) {
            throw RequestException.of(
                    ErrorCode.INVALID_REQUEST,
                    "the body must be a JSON object, not " + JsonFields.kind(root));
        }
        return new JsonFields(object, "");
    }

    /// Reads JSON inside a string, such as the arguments of a tool call.
    ///
    /// @param param the field that holds it
    JsonNode embedded(String text, String param) {
        try {
            return mapper.readTree(text);
        } catch (JsonProcessingException e) {
            throw RequestException.invalid(
                    param, "is not valid JSON" + position(e.getLocation()) + problem(e));
        }
    }

    /// An object as maps, lists, strings, numbers, booleans and nulls, in the order it was written: what templates read.
    Map<String, Object> mapping(JsonNode object) {
        return mapper.convertValue(object, new TypeReference<LinkedHashMap<String, Object>>() {});
    }

    ObjectNode object() {
        return mapper.createObjectNode();
    }

    String write(JsonNode node) {
        try {
            return mapper.writeValueAsString(node);
        } catch (JsonProcessingException e) {
            throw new IllegalStateException("a tree could not be written", e);
        }
    }

    private static String position(JsonLocation location) {
        return location == null
                ? ""
                : " at line " + location.getLineNr() + ", column " + location.getColumnNr();
    }

    /// The parser's complaint without its second line, which points into Java objects.
    private static String problem(JsonProcessingException e) {
        String message = e.getOriginalMessage();
        return message == null ? "" : ": " + message.lines().findFirst().orElse("");
    }
}

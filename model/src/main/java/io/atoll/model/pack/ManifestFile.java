package io.atoll.model.pack;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonMappingException;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// The bytes of a manifest: a JSON object whose first field is the CRC-32C of everything behind it, so that a flipped bit is found
/// here, too.
final class ManifestFile {
    static final String NAME = "atoll-pack.json";

    private static final String BEGIN = "{\"crc32c\":\"";
    private static final String END = "\",";
    private static final int HEAD = BEGIN.length() + 8 + END.length();

    /// An order of magnitude above that of the largest model of the family.
    private static final long MAX_BYTES = 256L << 20;

    private static final Pattern VERSION = Pattern.compile("^\\s\"version\":(\\d{1,9}),");

    private static final JsonMapper MAPPER =
            JsonMapper.builder(
                            JsonFactory.builder()
                                    .streamReadConstraints(
                                            StreamReadConstraints.builder()
                                                    .maxNestingDepth(16)
                                                    .build())
                                    .build())
                    .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                    .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
                    .enable(DeserializationFeature.FAIL_ON_NULL_FOR_PRIMITIVES)
                    .enable(DeserializationFeature.FAIL_ON_NULL_CREATOR_PROPERTIES)
                    .build();

    private ManifestFile() {}

    static byte[] write(PackManifest manifest) {
        try {
            byte[] json = MAPPER.writeValueAsBytes(manifest);
            json[0] = '\n'; // in place of the brace, which stands before the sum
            byte[] head =
                    (BEGIN + Crc32c.hex(Crc32c.of(json)) + END).getBytes(StandardCharsets.US_ASCII);
            byte[] whole = Arrays.copyOf(head, head.length + json.length);
            System.arraycopy(json, 0, whole, head.length, json.length);
            return whole;
        } catch (JacksonException e) {
            throw new IllegalStateException("a checked manifest does not print", e);
        }
    }

    /// @throws PackException if it is missing, damaged or of another version
    static PackManifest read(Path file) {
        byte[] whole;
        try {
            long bytes = Files.size(file);
            if (bytes > MAX_BYTES) {
                throw new PackException(
                        file, "file", "is too large: " + bytes + " bytes, at most " + MAX_BYTES);
            }
            whole = Files.readAllBytes(file);
        } catch (IOException e) {
            throw new PackException(file, "file", "cannot be read: " + e, e);
        }
        return parse(file, whole);
    }

    static PackManifest parse(Path file, byte[] whole) {
        String head =
                new String(whole, 0, Math.min(HEAD, whole.length), StandardCharsets.ISO_8859_1);
        if (whole.length <= HEAD || !head.startsWith(BEGIN) || !head.endsWith(END)) {
            throw new PackException(file, "crc32c", "is missing: the file is no manifest, or torn");
        }
        byte[] json = Arrays.copyOfRange(whole, HEAD, whole.length);
        String said = head.substring(BEGIN.length(), BEGIN.length() + 8);
        String found = Crc32c.hex(Crc32c.of(json));
        if (!said.equals(found)) {
            throw new PackException(
                    file,
                    "crc32c",
                    "says " + said + ", the bytes have " + found + ": the manifest is damaged");
        }
        checkVersion(file, json);
        json[0] = '{';
        try {
            return MAPPER.readValue(json, PackManifest.class);
        } catch (JsonMappingException e) {
            Throwable cause = e.getCause() == null ? e : e.getCause();
            String problem =
                    cause instanceof JacksonException jackson
                            ? jackson.getOriginalMessage()
                            : cause.getMessage();
            throw new PackException(file, e.getPathReference(), problem, e);
        } catch (IOException e) {
            throw new PackException(file, "file", "is not valid JSON: " + e.getMessage(), e);
        }
    }

    /// Another version may have other fields, so it is looked at before they are.
    private static void checkVersion(Path file, byte[] json) {
        String begin = new String(json, 0, Math.min(32, json.length), StandardCharsets.ISO_8859_1);
        Matcher version = VERSION.matcher(begin);
        if (!version.find()) {
            throw new PackException(file, "version", "is missing");
        }
        if (!version.group(1).equals("" + PackManifest.VERSION)) {
            throw new PackException(
                    file,
                    "version",
                    version.group(1)
                            + " is not supported, only "
                            + PackManifest.VERSION
                            + ": pack the model again");
        }
    }
}

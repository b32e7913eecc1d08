package io.atoll.model.checkpoint;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// One safetensors file, mapped: an 8-byte header length, a JSON header, and the tensors' bytes without gaps.
///
/// The header is believed only as far as it has been checked: its length against the file and a limit, every
/// tensor's byte range against the file, its type and shape, and all ranges against each other.
final class SafetensorsFile {
    static final long MAX_HEADER_BYTES = 100_000_000;
    private static final int LENGTH_BYTES = 8;
    private static final int MAX_RANK = 16;
    private static final int MAX_TENSORS =
            1 << 20; // twice what the largest release has in all files
    private static final ValueLayout.OfLong LENGTH =
            ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    // Names are not interned or hashed into a shared table, which a hostile header could fill.
    private static final JsonFactory JSON =
            JsonFactory.builder()
                    .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                    .disable(JsonFactory.Feature.CANONICALIZE_FIELD_NAMES)
                    .disable(JsonFactory.Feature.INTERN_FIELD_NAMES)
                    .streamReadConstraints(
                            StreamReadConstraints.builder().maxNestingDepth(32).build())
                    .build();

    private final Map<String, Tensor> tensors;
    private final MemorySegment bytes;

    private SafetensorsFile(Map<String, Tensor> tensors, MemorySegment bytes) {
        this.tensors = tensors;
        this.bytes = bytes;
    }

    /// The whole file.
    MemorySegment bytes() {
        return bytes;
    }

    /// The tensors by name, in the header's order.
    Map<String, Tensor> tensors() {
        return tensors;
    }

    /// Maps a file into `arena` and reads its header. Tensor bytes are not touched.
    static SafetensorsFile open(Path file, Arena arena) {
        if (!Files.isRegularFile(file)) {
            throw new CheckpointException(file, "file", "is missing");
        }
        MemorySegment bytes;
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            bytes = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
        } catch (IOException e) {
            throw new CheckpointException(file, "file", "cannot be mapped: " + e, e);
        }
        return parse(file, bytes);
    }

    /// As [#open], from the file's bytes.
    static SafetensorsFile parse(Path file, MemorySegment bytes) {
        return new SafetensorsFile(new Reader(file, bytes).read(), bytes);
    }

    /// What the header says of one tensor, before it is checked against the others.
    private record Entry(String name, DType dtype, List<Long> shape, long begin, long end) {
        long[] sizes() {
            return shape.stream().mapToLong(Long::longValue).toArray();
        }
    }

    private static final class Reader {
        private final Path file;
        private final MemorySegment bytes;
        private long dataStart;

        Reader(Path file, MemorySegment bytes) {
            this.file = file;
            this.bytes = bytes;
        }

        Map<String, Tensor> read() {
            List<Entry> entries = entries(header());
            checkLayout(entries);
            Map<String, Tensor> tensors = LinkedHashMap.newLinkedHashMap(entries.size());
            for (Entry entry : entries) {
                MemorySegment data =
                        bytes.asSlice(dataStart + entry.begin, entry.end - entry.begin);
                tensors.put(
                        entry.name, new Tensor(entry.name, entry.dtype, entry.sizes(), data, file));
            }
            return tensors;
        }

        private String header() {
            long fileBytes = bytes.byteSize();
            if (fileBytes < LENGTH_BYTES) {
                throw header("the file has only " + fileBytes + " bytes");
            }
            long length = bytes.get(LENGTH, 0);
            if (length < 2 || length > MAX_HEADER_BYTES || length > fileBytes - LENGTH_BYTES) {
                throw header(
                        "length "
                                + Long.toUnsignedString(length)
                                + " is out of range for a file of "
                                + fileBytes
                                + " bytes (at most "
                                + MAX_HEADER_BYTES
                                + ")");
            }
            dataStart = LENGTH_BYTES + length;
            ByteBuffer text = bytes.asSlice(LENGTH_BYTES, length).asByteBuffer();
            if (text.get(0) != '{') {
                throw header("must begin with '{', found byte " + (text.get(0) & 0xFF));
            }
            try {
                return StandardCharsets.UTF_8.newDecoder().decode(text).toString();
            } catch (CharacterCodingException e) {
                throw new CheckpointException(file, "header", "is not UTF-8", e);
            }
        }

        private List<Entry> entries(String header) {
            List<Entry> entries = new ArrayList<>();
            try (JsonParser parser = JSON.createParser(header)) {
                expect(
                        parser.nextToken() == JsonToken.START_OBJECT,
                        "header",
                        "must be an object",
                        parser);
                while (parser.nextToken() == JsonToken.FIELD_NAME) {
                    String name = parser.currentName();
                    expect(
                            parser.nextToken() == JsonToken.START_OBJECT,
                            name,
                            "must be an object",
                            parser);
                    if (name.equals("__metadata__")) {
                        // Free text about the file; nothing here depends on it.
                        parser.skipChildren();
                    } else {
                        if (entries.size() == MAX_TENSORS) {
                            throw header("has more than " + MAX_TENSORS + " tensors");
                        }
                        entries.add(entry(name, parser));
                    }
                }
                if (parser.nextToken() != null) {
                    throw header("has more after its object");
                }
                return entries;
            } catch (JsonProcessingException e) {
                throw new CheckpointException(
                        file, "header", "is not valid JSON: " + e.getOriginalMessage(), e);
            } catch (IOException e) {
                throw new CheckpointException(file, "header", "cannot be read: " + e, e);
            }
        }

        private Entry entry(String name, JsonParser parser) throws IOException {
            String typeName = null;
            List<Long> shape = null;
            List<Long> offsets = null;
            while (parser.nextToken() == JsonToken.FIELD_NAME) {
                String field = parser.currentName();
                parser.nextToken();
                switch (field) {
                    case "dtype" -> {
                        expect(
                                parser.hasToken(JsonToken.VALUE_STRING),
                                name,
                                "dtype must be a string",
                                parser);
                        typeName = parser.getText();
                    }
                    case "shape" -> shape = sizes(name, field, parser);
                    case "data_offsets" -> offsets = sizes(name, field, parser);
                    default -> parser.skipChildren();
                }
            }
            if (typeName == null || shape == null || offsets == null) {
                throw tensor(name, "must have dtype, shape and data_offsets");
            }
            if (offsets.size() != 2) {
                throw tensor(name, "data_offsets must be two numbers, found " + offsets);
            }
            String wanted = typeName;
            DType dtype =
                    DType.named(typeName)
                            .orElseThrow(
                                    () ->
                                            tensor(
                                                    name,
                                                    "has the unknown dtype \""
                                                            + shorten(wanted)
                                                            + "\""));
            return new Entry(name, dtype, shape, offsets.get(0), offsets.get(1));
        }

        private List<Long> sizes(String name, String field, JsonParser parser) throws IOException {
            expect(parser.hasToken(JsonToken.START_ARRAY), name, field + " must be a list", parser);
            List<Long> sizes = new ArrayList<>();
            while (parser.nextToken() != JsonToken.END_ARRAY) {
                expect(
                        parser.hasToken(JsonToken.VALUE_NUMBER_INT),
                        name,
                        field + " must hold integers",
                        parser);
                if (sizes.size() == MAX_RANK) {
                    throw tensor(name, field + " has more than " + MAX_RANK + " entries");
                }
                long size = parser.getLongValue();
                if (size < 0) {
                    throw tensor(name, field + " must not be negative, found " + size);
                }
                sizes.add(size);
            }
            return sizes;
        }

        /// Every tensor has the bytes its shape takes, and together they cover the rest of the file exactly once.
        private void checkLayout(List<Entry> entries) {
            long dataBytes = bytes.byteSize() - dataStart;
            List<Entry> ordered = new ArrayList<>(entries);
            ordered.sort(Comparator.comparingLong(Entry::begin).thenComparingLong(Entry::end));
            long covered = 0;
            for (Entry entry : ordered) {
                if (entry.begin > entry.end || entry.end > dataBytes) {
                    throw tensor(
                            entry.name,
                            "bytes ["
                                    + entry.begin
                                    + ", "
                                    + entry.end
                                    + ") are not inside the file's "
                                    + dataBytes
                                    + " bytes of data");
                }
                long expected = shapeBytes(entry);
                if (entry.end - entry.begin != expected) {
                    throw tensor(
                            entry.name,
                            entry.dtype
                                    + " "
                                    + entry.shape
                                    + " takes "
                                    + expected
                                    + " bytes, found "
                                    + (entry.end - entry.begin));
                }
                if (entry.begin != covered) {
                    throw tensor(
                            entry.name,
                            (entry.begin < covered
                                            ? "overlaps another tensor"
                                            : "leaves a gap before it")
                                    + ": begins at "
                                    + entry.begin
                                    + ", the previous one ends at "
                                    + covered);
                }
                covered = entry.end;
            }
            if (covered != dataBytes) {
                throw header(
                        "tensors end at byte " + covered + " of " + dataBytes + " bytes of data");
            }
        }

        private long shapeBytes(Entry entry) {
            try {
                long product = entry.dtype.bytes();
                for (long size : entry.shape) {
                    product = Math.multiplyExact(product, size);
                }
                return product;
            } catch (ArithmeticException e) {
                throw new CheckpointException(
                        file, entry.name, "shape " + entry.shape + " overflows 64 bits", e);
            }
        }

        private void expect(boolean holds, String where, String message, JsonParser parser) {
            if (!holds) {
                throw new CheckpointException(
                        file, shorten(where), message + ", found " + parser.currentToken());
            }
        }

        private CheckpointException header(String message) {
            return new CheckpointException(file, "header", message);
        }

        private CheckpointException tensor(String name, String message) {
            return new CheckpointException(file, shorten(name), message);
        }

        private static String shorten(String text) {
            return text.length() > 200 ? text.substring(0, 200) + "…" : text;
        }
    }
}

package io.atoll.model.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.model.Seeds;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class GgufMetadataTest {
    private static final Path FILE = Path.of("m.gguf");
    private static final byte[] ONES = {-1, -1, -1, -1, -1, -1, -1, -1};

    @TempDir Path directory;

    @ParameterizedTest
    @ValueSource(ints = {2, 3})
    void everyValueTypeIsRead(int version) throws IOException {
        byte[] bytes = everyType(version).bytes();
        Path file = directory.resolve("m.gguf");
        Files.write(file, bytes);
        GgufMetadata metadata = GgufMetadata.read(file);
        assertEquals(version, metadata.version());
        assertEquals(0, metadata.tensorCount());
        assertEquals(bytes.length, metadata.endOffset());
        assertEquals(Optional.of(255L), metadata.whole("u8"));
        assertEquals(Optional.of(-1L), metadata.whole("i8"));
        assertEquals(Optional.of(65_535L), metadata.whole("u16"));
        assertEquals(Optional.of(-1L), metadata.whole("i16"));
        assertEquals(Optional.of(4_294_967_295L), metadata.whole("u32"));
        assertEquals(Optional.of(-1L), metadata.whole("i32"));
        assertEquals(Optional.of(1L << 40), metadata.whole("u64"));
        assertEquals(Optional.of(-1L), metadata.whole("i64"));
        assertEquals(new GgufValue.Real(1), metadata.values().get("f32"));
        assertEquals(new GgufValue.Real(1), metadata.values().get("f64"));
        assertEquals(new GgufValue.Flag(true), metadata.values().get("bool"));
        assertEquals(Optional.of("grüß"), metadata.text("text"));
        assertEquals(List.of("a", "", "b"), metadata.texts("texts"));
        assertEquals(List.of(1L, -2L), metadata.wholes("int32s"));
        assertEquals(
                new GgufValue.Items(List.of(new GgufValue.Items(List.of(new GgufValue.Whole(7))))),
                metadata.values().get("nested"));
        assertEquals(Optional.empty(), metadata.text("absent"));
    }

    @Test
    void valueOfAnotherTypeIsRefusedWithItsKey() {
        GgufMetadata metadata = parse(everyType(3).bytes());
        assertEquals(
                "u8", assertThrows(CheckpointException.class, () -> metadata.text("u8")).where());
        assertEquals(
                "text",
                assertThrows(CheckpointException.class, () -> metadata.whole("text")).where());
        assertEquals(
                "text",
                assertThrows(CheckpointException.class, () -> metadata.texts("text")).where());
        assertEquals(
                "texts",
                assertThrows(CheckpointException.class, () -> metadata.wholes("texts")).where());
        assertEquals(
                "absent",
                assertThrows(CheckpointException.class, () -> metadata.texts("absent")).where());
    }

    @Test
    void otherFilesAndVersionsAreRefused() {
        assertRefused(
                "not a GGUF file",
                "safetensors are no GGUF".getBytes(java.nio.charset.StandardCharsets.UTF_8));
        assertRefused("version must be 2 or 3, found 1", new GgufBytes(1).bytes());
        assertRefused("big-endian", new GgufBytes(Integer.reverseBytes(3)).bytes());
        Path absent = directory.resolve("absent.gguf");
        assertThrows(CheckpointException.class, () -> GgufMetadata.read(absent));
    }

    @Test
    void lengthsAreCheckedBeforeAnythingIsAllocated() {
        assertRefused("string length", new GgufBytes(3).raw("k", 8, ONES).bytes());
        assertRefused("string length", new GgufBytes(3).raw("k", 8, longs(1L << 40)).bytes());
        assertRefused("array length", new GgufBytes(3).raw("k", 9, concat(ints(4), ONES)).bytes());
        assertRefused(
                "array length",
                new GgufBytes(3).raw("k", 9, concat(ints(0), longs(Integer.MAX_VALUE))).bytes());
        assertRefused("unsigned value", new GgufBytes(3).raw("k", 10, ONES).bytes());
        assertRefused("number of keys", withLong(new GgufBytes(3).bytes(), 16, Long.MAX_VALUE));
        assertRefused("tensor count", withLong(new GgufBytes(3).bytes(), 8, -1));
    }

    @Test
    void malformedValuesAreRefused() {
        assertRefused("unknown value type 13", new GgufBytes(3).raw("k", 13, ONES).bytes());
        assertRefused(
                "unknown element type",
                new GgufBytes(3).raw("k", 9, concat(ints(99), longs(0))).bytes());
        assertRefused("boolean", new GgufBytes(3).raw("k", 7, (byte) 2).bytes());
        assertRefused(
                "not UTF-8",
                new GgufBytes(3)
                        .raw("k", 8, concat(longs(1), new byte[] {(byte) 0xC0, 0}))
                        .bytes());
        assertRefused("twice", new GgufBytes(3).text("k", "a").text("k", "b").bytes());
        byte[] nest = ints(9);
        for (int i = 0; i < 10; i++) {
            nest = concat(nest, longs(1), ints(9));
        }
        assertRefused("nest deeper", new GgufBytes(3).raw("k", 9, nest).bytes());
    }

    @Test
    void fileCutAtAnyByteIsRefused() {
        byte[] sound = everyType(3).bytes();
        for (int length = 0; length < sound.length; length++) {
            byte[] cut = Arrays.copyOf(sound, length);
            assertThrows(CheckpointException.class, () -> parse(cut), "cut to " + length);
        }
    }

    @Test
    void randomDamageGivesOnlyTypedErrors() {
        byte[] sound = everyType(3).bytes();
        Seeds.forAll(
                20_000,
                random -> {
                    byte[] damaged = sound.clone();
                    for (int i = random.nextInt(1, 6); i > 0; i--) {
                        int value = random.nextBoolean() ? random.nextInt(14) : random.nextInt();
                        damaged[random.nextInt(damaged.length)] = (byte) value;
                    }
                    try {
                        parse(damaged);
                    } catch (CheckpointException expected) {
                        assertEquals(FILE, expected.file());
                    }
                });
    }

    private static GgufBytes everyType(int version) {
        return new GgufBytes(version)
                .raw("u8", 0, (byte) -1)
                .raw("i8", 1, (byte) -1)
                .raw("u16", 2, Arrays.copyOf(ONES, 2))
                .raw("i16", 3, Arrays.copyOf(ONES, 2))
                .raw("u32", 4, Arrays.copyOf(ONES, 4))
                .raw("i32", 5, Arrays.copyOf(ONES, 4))
                .raw("f32", 6, ints(Float.floatToIntBits(1)))
                .raw("bool", 7, (byte) 1)
                .text("text", "grüß")
                .texts("texts", List.of("a", "", "b"))
                .int32s("int32s", List.of(1, -2))
                .raw("nested", 9, concat(ints(9), longs(1), ints(5), longs(1), ints(7)))
                .raw("u64", 10, longs(1L << 40))
                .raw("i64", 11, ONES)
                .raw("f64", 12, longs(Double.doubleToLongBits(1)));
    }

    private static void assertRefused(String message, byte[] bytes) {
        CheckpointException refusal = assertThrows(CheckpointException.class, () -> parse(bytes));
        assertTrue(refusal.getMessage().contains(message), refusal.getMessage());
    }

    private static GgufMetadata parse(byte[] bytes) {
        return GgufMetadata.parse(FILE, MemorySegment.ofArray(bytes));
    }

    private static byte[] withLong(byte[] bytes, int at, long value) {
        ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).putLong(at, value);
        return bytes;
    }

    private static byte[] ints(int value) {
        return ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putInt(value).array();
    }

    private static byte[] longs(long value) {
        return ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(value).array();
    }

    private static byte[] concat(byte[]... parts) {
        ByteBuffer all =
                ByteBuffer.allocate(Arrays.stream(parts).mapToInt(part -> part.length).sum());
        for (byte[] part : parts) {
            all.put(part);
        }
        return all.array();
    }
}

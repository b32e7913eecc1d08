package io.atoll.model.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.model.Seeds;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class SafetensorsFileTest {
    private static final Path FILE = Path.of("w.safetensors");
    private static final String TWO_TENSORS =
            """
            {"__metadata__":{"format":"pt"},
             "a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},
             "b":{"dtype":"I8","shape":[2,2],"data_offsets":[8,12]}}\
            """;

    @Test
    void soundHeaderIsRead() {
        Map<String, Tensor> tensors = parse(file(TWO_TENSORS, 12));
        assertEquals("[a, b]", tensors.keySet().toString());
        assertEquals("b I8[2, 2] in w.safetensors", tensors.get("b").toString());
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "\"dtype\":\"I8\" | \"dtype\":\"Q4_K\" | unknown dtype \"Q4_K\"",
                "\"dtype\":\"I8\" | \"dtype\":8 | dtype must be a string",
                "\"dtype\":\"I8\", | '' | must have dtype",
                "[2,2] | [2,3] | takes 6 bytes, found 4",
                "[2,2] | [-2,-2] | negative",
                "[2,2] | [4294967296,4294967296] | overflows",
                "[2,2] | [2.0,2] | integers",
                "[2,2] | [99999999999999999999] | JSON",
                "[2,2] | [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,4] | more than 16",
                "[2,2] | {} | must be a list",
                "[8,12] | [8,13] | not inside",
                "[8,12] | [12,8] | not inside",
                "[8,12] | [4,8] | overlaps",
                "[8,12] | [8,12,12] | two numbers",
                "[8,12] | [9223372036854775807,9223372036854775807] | not inside",
                "\"b\" | \"a\" | JSON",
                "\"b\":{ | \"b\":[{ | must be an object",
            })
    void damagedEntryIsNamed(String from, String to, String message) {
        byte[] damaged = file(TWO_TENSORS.replace(from, to), 12);
        CheckpointException refusal = assertThrows(CheckpointException.class, () -> parse(damaged));
        assertTrue(refusal.getMessage().contains(message), refusal.getMessage());
    }

    @Test
    void bytesThatBelongToNoTensorAreRefused() {
        assertThrows(CheckpointException.class, () -> parse(file(TWO_TENSORS, 13)));
        String gap = TWO_TENSORS.replace("[8,12]", "[9,13]");
        CheckpointException refusal =
                assertThrows(CheckpointException.class, () -> parse(file(gap, 13)));
        assertTrue(refusal.getMessage().contains("leaves a gap"), refusal.getMessage());
    }

    @ParameterizedTest
    @ValueSource(longs = {-1, 0, 1, Long.MAX_VALUE, Long.MIN_VALUE, 100_000_001, 400})
    void headerLengthIsCheckedBeforeUse(long length) {
        byte[] damaged = file(TWO_TENSORS, 12);
        ByteBuffer.wrap(damaged).order(ByteOrder.LITTLE_ENDIAN).putLong(0, length);
        assertThrows(CheckpointException.class, () -> parse(damaged));
    }

    @ParameterizedTest
    @ValueSource(strings = {"  ", "[]", " {}", "{", "{}x", "{}{}", "{\"a\":1}"})
    void headerMustBeOneObject(String header) {
        assertThrows(CheckpointException.class, () -> parse(file(header, 0)));
    }

    @Test
    void headerMayBePaddedWithSpaces() {
        assertEquals(2, parse(file(TWO_TENSORS + "    ", 12)).size());
    }

    @Test
    void deepNestingIsRefusedWithoutOverflow() {
        String deep = "{\"a\":{\"x\":" + "[".repeat(100_000) + "]".repeat(100_000) + "}}";
        assertThrows(CheckpointException.class, () -> parse(file(deep, 0)));
    }

    @Test
    void fileCutAtAnyByteIsRefused() {
        byte[] sound = file(TWO_TENSORS, 12);
        for (int length = 0; length < sound.length; length++) {
            byte[] cut = Arrays.copyOf(sound, length);
            assertThrows(CheckpointException.class, () -> parse(cut), "cut to " + length);
        }
    }

    @Test
    void randomDamageGivesOnlyTypedErrors() {
        byte[] sound = file(TWO_TENSORS, 12);
        byte[] likely =
                "0123456789-eE.,:[]{}\"\\ \u0000\u00FF".getBytes(StandardCharsets.ISO_8859_1);
        Seeds.forAll(
                20_000,
                random -> {
                    byte[] damaged = Arrays.copyOf(sound, sound.length + random.nextInt(3));
                    for (int i = random.nextInt(1, 6); i > 0; i--) {
                        // Mostly inside the header's text, sometimes in its length.
                        int at =
                                random.nextInt(8) == 0
                                        ? random.nextInt(8)
                                        : random.nextInt(damaged.length);
                        damaged[at] =
                                random.nextBoolean()
                                        ? likely[random.nextInt(likely.length)]
                                        : (byte) random.nextInt();
                    }
                    try {
                        for (Tensor tensor : parse(damaged).values()) {
                            assertTrue(tensor.data().byteSize() <= damaged.length);
                        }
                    } catch (CheckpointException expected) {
                        assertEquals(FILE, expected.file());
                    }
                });
    }

    /// A file with this header and so many zero bytes of data.
    static byte[] file(String header, int dataBytes) {
        byte[] text = header.getBytes(StandardCharsets.UTF_8);
        return ByteBuffer.allocate(8 + text.length + dataBytes)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(text.length)
                .put(text)
                .array();
    }

    private static Map<String, Tensor> parse(byte[] bytes) {
        return SafetensorsFile.parse(FILE, MemorySegment.ofArray(bytes)).tensors();
    }
}

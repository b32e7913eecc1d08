package io.atoll.model.gguf;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.model.Seeds;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class GgufFileTest {
    private static final Path NAME = Path.of("test.gguf");

    @TempDir Path directory;

    private static GgufPart read(GgufBuilder builder) {
        return GgufPart.read(NAME, MemorySegment.ofArray(builder.toArray()));
    }

    private static void assertRefused(GgufBuilder builder, String... parts) {
        GgufException e = assertThrows(GgufException.class, () -> read(builder));
        for (String part : parts) {
            assertTrue(e.getMessage().contains(part), part + " in: " + e.getMessage());
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {2, 3})
    void everyKindOfValueIsRead(int version) {
        GgufMetadata metadata = read(everything().version(version)).metadata();
        assertEquals(200, metadata.findInteger("u8").orElseThrow());
        assertEquals(-3, metadata.findInteger("i8").orElseThrow());
        assertEquals(60_000, metadata.findInteger("u16").orElseThrow());
        assertEquals(-300, metadata.findInteger("i16").orElseThrow());
        assertEquals(4_000_000_000L, metadata.findInteger("u32").orElseThrow());
        assertEquals(-70_000, metadata.findInteger("i32").orElseThrow());
        assertEquals(Long.MAX_VALUE, metadata.findInteger("u64").orElseThrow());
        assertEquals(-1L << 40, metadata.findInteger("i64").orElseThrow());
        assertEquals(0.5, metadata.findNumber("f32").orElseThrow());
        assertEquals(0.25, metadata.findNumber("f64").orElseThrow());
        assertEquals(200, metadata.findNumber("u8").orElseThrow());
        assertTrue(metadata.findFlag("bool").orElseThrow());
        assertEquals("grün", metadata.string("string"));
        assertEquals(List.of("a", "", "Ġc"), metadata.array("strings").strings());
        assertEquals(-2, metadata.array("integers").integer(1));
        assertEquals(0, metadata.array("empty").size());
        assertTrue(metadata.array("flags").flag(0));
        assertTrue(metadata.findString("nothing").isEmpty());
    }

    @Test
    void valuesOfAnotherKindAreRefusedWithBothKinds() {
        GgufMetadata metadata = read(everything()).metadata();
        assertMessage(() -> metadata.string("u8"), "u8", "STRING", "UINT8");
        assertMessage(() -> metadata.findInteger("f32"), "f32", "FLOAT32");
        assertMessage(() -> metadata.array("string"), "string", "ARRAY");
        assertMessage(() -> metadata.array("strings").integer(0), "strings", "integers", "STRING");
        assertMessage(() -> metadata.array("integers").strings(), "integers", "strings");
        assertMessage(() -> metadata.integer("u32", 0, 10), "u32", "[0, 10]", "4000000000");
        assertMessage(() -> metadata.string("nothing"), "nothing", "missing");
    }

    @Test
    void tensorsLieAtTheirAlignedOffsets() {
        GgufPart part =
                read(
                        new GgufBuilder()
                                .alignment(64)
                                .f32Tensor("a", new float[] {1, 2, 3}, 3)
                                .f32Tensor("b", new float[] {4, 5, 6, 7, 8, 9}, 3, 2));
        GgufTensor b = part.tensors().get(1);
        assertArrayEquals(new long[] {2, 3}, b.shape());
        assertArrayEquals(new float[] {4, 5, 6, 7, 8, 9}, b.floats());
        assertArrayEquals(new float[] {1, 2, 3}, part.tensors().get(0).floats());
    }

    @Test
    void headersThatAreNotOfThisFormatAreRefused() {
        assertRefused(new GgufBuilder().version(1), "version", "1");
        assertRefused(new GgufBuilder().version(4), "version", "4");
        assertRefused(new GgufBuilder().version(0x03000000), "big-endian");
        GgufException e =
                assertThrows(
                        GgufException.class,
                        () -> GgufPart.read(NAME, MemorySegment.ofArray(new byte[40])));
        assertTrue(e.getMessage().contains("magic"), e.getMessage());
    }

    @Test
    void absurdCountsAreRefusedBeforeAnythingIsAllocated() {
        assertRefused(new GgufBuilder().entryCount(-1), "18446744073709551615", "metadata");
        assertRefused(new GgufBuilder().entryCount(1000), "1000 metadata entries");
        assertRefused(new GgufBuilder().tensorCount(1L << 40), "tensors");
        byte[] huge = new GgufBuilder.Bytes().number(0, 4).number(1L << 62, 8).toArray();
        assertRefused(new GgufBuilder().entry("list", GgufBuilder.ARRAY, huge), "list", "elements");
        byte[] longText = new GgufBuilder.Bytes().number(1L << 33, 8).toArray();
        assertRefused(new GgufBuilder().entry("text", GgufBuilder.STRING, longText), "text");
        assertRefused(
                new GgufBuilder().integer("big", GgufBuilder.U64, -1).u32("general.alignment", 0),
                "general.alignment");
    }

    @Test
    void metadataThatMakesNoSenseIsRefused() {
        assertRefused(new GgufBuilder().u32("k", 1).u32("k", 2), "k", "twice");
        assertRefused(new GgufBuilder().u32("", 1), "empty");
        assertRefused(new GgufBuilder().entry("k", 13, new byte[8]), "k", "type 13");
        assertRefused(new GgufBuilder().integer("k", GgufBuilder.BOOL, 2), "k", "0 or 1");
        assertRefused(new GgufBuilder().u32("general.alignment", 48), "power of two", "48");
        GgufBuilder.Bytes nested = new GgufBuilder.Bytes();
        for (int i = 0; i < 1000; i++) {
            nested.number(GgufBuilder.ARRAY, 4).number(1, 8);
        }
        assertRefused(
                new GgufBuilder().entry("deep", GgufBuilder.ARRAY, nested.toArray()),
                "deep",
                "nests");
        byte[] notUtf8 = new GgufBuilder.Bytes().number(1, 8).raw(new byte[] {-1}).toArray();
        GgufMetadata metadata =
                read(new GgufBuilder().entry("bytes", GgufBuilder.STRING, notUtf8)).metadata();
        assertMessage(() -> metadata.string("bytes"), "bytes", "UTF-8");
    }

    @Test
    void tensorsThatMakeNoSenseAreRefused() {
        byte[] four = new byte[16];
        assertRefused(new GgufBuilder().tensor("t", 0, four, 2, 2, 1, 1, 1), "t", "found 5");
        assertRefused(new GgufBuilder().tensor("t", 0, four), "t", "found 0");
        assertRefused(new GgufBuilder().tensor("t", 0, four, 4, 0), "t", "size 0");
        assertRefused(new GgufBuilder().tensor("t", 0, four, 5), "t", "20 bytes");
        assertRefused(new GgufBuilder().tensor("t", 2, new byte[18], 16), "t", "Q4_0", "32");
        assertRefused(
                new GgufBuilder().tensor("t", 0, four, 1L << 31, 1L << 31, 1L << 31),
                "t",
                "overflows");
        assertRefused(
                new GgufBuilder().tensor("t", 0, four, 4).tensor("t", 0, four, 4), "t", "twice");
        assertRefused(
                new GgufBuilder().tensor("t", 0, four, 4).tensorEntry("u", 0, 0, 2), "overlaps");
        assertRefused(
                new GgufBuilder().tensor("t", 0, new byte[64], 16).tensorEntry("u", 0, 4, 1),
                "u",
                "alignment");
        assertRefused(
                new GgufBuilder().tensor("t", 0, four, 4).tensorEntry("u", 0, 1L << 40, 1),
                "u",
                "not inside");
        assertRefused(new GgufBuilder().tensor("t", 0, four, 4).tensorEntry("u", 0, -32, 1), "u");
    }

    @Test
    void unsupportedTypesAreNamedWithTheTensor() {
        assertRefused(
                new GgufBuilder().tensor("blk.0.ffn_up_exps.weight", 18, new byte[98], 256),
                "blk.0.ffn_up_exps.weight",
                "IQ3_XXS",
                "Q4_K");
    }

    @Test
    void anyPartOfASplitModelOpensAll() throws IOException {
        for (int part = 0; part < 3; part++) {
            part(part, 3, 2).write(directory.resolve("m-0000" + (part + 1) + "-of-00003.gguf"));
        }
        for (int part = 1; part <= 3; part++) {
            Path file = directory.resolve("m-0000" + part + "-of-00003.gguf");
            try (GgufFile model = GgufFile.open(file)) {
                assertEquals(2, model.tensors().size()); // the first part has none
                assertEquals("first", model.metadata().string("general.name"));
                assertArrayEquals(new float[] {2}, model.require("t2").floats());
                assertMessage(() -> model.require("t0"), "t0", "missing");
            }
        }
    }

    @Test
    void splitModelsWithAMissingOrForeignPartAreRefused() throws IOException {
        Path first = directory.resolve("m-00001-of-00002.gguf");
        Path second = directory.resolve("m-00002-of-00002.gguf");
        part(0, 2, 1).write(first);
        assertMessage(() -> GgufFile.open(first), "m-00002-of-00002.gguf", "missing");
        part(0, 2, 1).write(second);
        assertMessage(() -> GgufFile.open(first), "split.no", "part 1 of 2", "part 0 of 2");
        part(1, 2, 5).write(second);
        part(0, 2, 5).write(first);
        assertMessage(() -> GgufFile.open(first), "split.tensors.count", "5", "1");
        Path renamed = part(0, 2, 1).write(directory.resolve("model.gguf"));
        assertMessage(() -> GgufFile.open(renamed), "split.count", "00001-of-00002");
        assertMessage(() -> GgufFile.open(directory.resolve("none.gguf")), "none.gguf", "missing");
    }

    /// Whatever bytes a file has, it opens or is refused with a [GgufException], and everything in one that opens can be read.
    @Test
    void damagedFilesAreRefusedAndNeverCrash() {
        byte[] good =
                everything()
                        .f32Tensor("a", new float[12], 4, 3)
                        .tensor("b", 8, new byte[68], 32, 2)
                        .toArray();
        Seeds.forAll(
                6000,
                random -> {
                    byte[] bytes = damage(good, random);
                    GgufPart part;
                    try {
                        part = GgufPart.read(NAME, MemorySegment.ofArray(bytes));
                    } catch (GgufException _) {
                        return;
                    }
                    part.tensors().forEach(GgufTensor::floats);
                    for (String key : part.metadata().keys()) {
                        readAny(part.metadata(), key);
                    }
                });
    }

    @Test
    void aFileCutAtAnyByteIsRefused() {
        byte[] good = everything().f32Tensor("a", new float[12], 4, 3).toArray();
        for (int length = 0; length < good.length; length++) {
            MemorySegment cut = MemorySegment.ofArray(Arrays.copyOf(good, length));
            assertThrows(GgufException.class, () -> GgufPart.read(NAME, cut), "cut to " + length);
        }
    }

    private static void readAny(GgufMetadata metadata, String key) {
        try {
            switch (metadata.type(key).orElseThrow()) {
                case STRING -> metadata.string(key);
                case BOOL -> metadata.findFlag(key);
                case ARRAY -> {
                    GgufArray array = metadata.array(key);
                    if (array.elementType() == GgufValueType.STRING) {
                        assertEquals(array.size(), List.copyOf(array.strings()).size());
                    } else if (array.elementType() != GgufValueType.ARRAY) {
                        for (int i = 0; i < array.size(); i++) {
                            array.number(i);
                        }
                    }
                }
                default -> metadata.findNumber(key);
            }
        } catch (GgufException _) {
            // Text that is not UTF-8, an infinite number: found when asked for.
        }
    }

    private static byte[] damage(byte[] good, Random random) {
        byte[] bytes =
                random.nextInt(3) == 0
                        ? Arrays.copyOf(good, random.nextInt(good.length + 1))
                        : good.clone();
        int changes = bytes.length == 0 ? 0 : random.nextInt(4);
        for (int i = 0; i < changes; i++) {
            int at = random.nextInt(bytes.length);
            switch (random.nextInt(4)) {
                case 0 -> bytes[at] = (byte) random.nextInt();
                case 1 -> bytes[at] ^= (byte) (1 << random.nextInt(8));
                case 2 -> Arrays.fill(bytes, at, Math.min(bytes.length, at + 8), (byte) 0xFF);
                default -> {
                    int from = random.nextInt(bytes.length);
                    int count = Math.min(8, bytes.length - Math.max(at, from));
                    System.arraycopy(good, from, bytes, at, count);
                }
            }
        }
        return bytes;
    }

    private static GgufBuilder everything() {
        byte[] half = new GgufBuilder.Bytes().number(Double.doubleToLongBits(0.25), 8).toArray();
        return new GgufBuilder()
                .integer("u8", GgufBuilder.U8, 200)
                .integer("i8", GgufBuilder.I8, -3)
                .integer("u16", GgufBuilder.U16, 60_000)
                .integer("i16", GgufBuilder.I16, -300)
                .integer("u32", GgufBuilder.U32, 4_000_000_000L)
                .integer("i32", GgufBuilder.I32, -70_000)
                .integer("u64", GgufBuilder.U64, Long.MAX_VALUE)
                .integer("i64", GgufBuilder.I64, -1L << 40)
                .f32("f32", 0.5f)
                .entry("f64", GgufBuilder.F64, half)
                .integer("bool", GgufBuilder.BOOL, 1)
                .string("string", "grün")
                .strings("strings", "a", "", "Ġc")
                .integers("integers", GgufBuilder.I32, 4, 1, -2, 3)
                .integers("flags", GgufBuilder.BOOL, 1, 1, 0)
                .integers("empty", GgufBuilder.U64, 8);
    }

    private static GgufBuilder part(int number, int count, int tensors) {
        GgufBuilder builder =
                new GgufBuilder()
                        .integer("split.no", GgufBuilder.U16, number)
                        .integer("split.count", GgufBuilder.U16, count)
                        .integer("split.tensors.count", GgufBuilder.I32, tensors);
        return number == 0
                ? builder.string("general.name", "first")
                : builder.f32Tensor("t" + number, new float[] {number}, 1);
    }

    private interface Call {
        Object run();
    }

    private static void assertMessage(Call call, String... parts) {
        GgufException e = assertThrows(GgufException.class, call::run);
        for (String part : parts) {
            assertTrue(e.getMessage().contains(part), part + " in: " + e.getMessage());
        }
    }
}

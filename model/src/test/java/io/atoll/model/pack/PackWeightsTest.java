package io.atoll.model.pack;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.kernels.ComputePool;
import io.atoll.kernels.PackedMatrix;
import io.atoll.kernels.WeightFormat;
import io.atoll.model.ModelDirectory;
import io.atoll.model.Seeds;
import io.atoll.model.checkpoint.Tensor;
import io.atoll.model.config.ModelFileException;
import io.atoll.model.quant.GgmlType;
import io.atoll.model.quant.WeightMatrix;
import io.atoll.model.weights.PackingMode;
import io.atoll.model.weights.TextWeights;
import io.atoll.model.weights.WeightPacking;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/// A pack is what its source is, or it is refused.
class PackWeightsTest {
    private static final long SEED = Long.getLong("seed", 7);

    @TempDir private Path directory;

    private Path pack(RandomModel model, PackSelection selection, DenseFormat format) {
        Path packed = directory.resolve("pack");
        try (ComputePool pool = new ComputePool(2, 0)) {
            Packer.pack(
                    model.packSource(),
                    selection,
                    format,
                    packed,
                    new FailingDisk(),
                    1, // as small as pieces get, so that matrices are cut
                    pool,
                    PackProgress.NONE);
        }
        return packed;
    }

    private Path pack(RandomModel model) {
        return pack(model, PackSelection.all(RandomModel.CONFIG), DenseFormat.KEEP);
    }

    private static void assertSameValues(String name, float[] expected, float[] found) {
        assertEquals(expected.length, found.length, name);
        for (int i = 0; i < expected.length; i++) {
            boolean same =
                    expected[i] == found[i] || (Float.isNaN(expected[i]) && Float.isNaN(found[i]));
            if (!same) {
                throw new AssertionError(
                        "%s[%d]: expected %s, found %s, -Dseed=%d"
                                .formatted(name, i, expected[i], found[i], SEED));
            }
        }
    }

    @ParameterizedTest
    @EnumSource(GgmlType.class)
    void everyWeightKeepsItsValueAndThePackIsHardlyLarger(GgmlType type) {
        RandomModel model = RandomModel.of(SEED, type);
        try (PackWeights pack = PackWeights.open(pack(model))) {
            TextWeights found = new TextWeights(pack, RandomModel.CONFIG);
            assertSameModel(model.weights(), found);
            long packed =
                    pack.manifest().files().stream()
                            .flatMap(file -> file.regions().stream())
                            .flatMap(
                                    region ->
                                            pack.manifest().layouts().get(region.layout()).stream())
                            .filter(weight -> !(weight instanceof StoredWeight.Vector))
                            .mapToLong(PackWeightsTest::bytesWithoutPadding)
                            .sum();
            assertTrue(
                    packed <= 1.06 * model.storedBytes(),
                    type + ": " + packed + " bytes of " + model.storedBytes());
        }
    }

    /// Of matrices of a few outputs much is padding here; real models have outputs by the hundred.
    private static long bytesWithoutPadding(StoredWeight weight) {
        return switch (weight) {
            case StoredWeight.Packed packed ->
                    packed.bytes() / ((packed.rows() + 15L) / 16 * 16) * packed.rows();
            case StoredWeight.Rows rows -> rows.bytes();
            case StoredWeight.Vector vector -> vector.bytes();
        };
    }

    private static void assertSameModel(TextWeights expected, TextWeights found) {
        Map<String, WeightMatrix> matrices = RandomModel.matrices(found);
        RandomModel.matrices(expected)
                .forEach(
                        (name, matrix) ->
                                assertSameValues(
                                        name, matrix.floats(), matrices.get(name).floats()));
        List<Tensor> tensors = RandomModel.tensors(found);
        List<Tensor> expectedTensors = RandomModel.tensors(expected);
        for (int i = 0; i < tensors.size(); i++) {
            assertSameValues(
                    tensors.get(i).name(),
                    expectedTensors.get(i).floats(),
                    tensors.get(i).floats());
        }
    }

    /// What the engines make of either: the same format, and the same bytes in it.
    @Test
    void mixOfTypesIsPackedAsInMemoryAndNotCopied() {
        GgmlType[] types = {
            GgmlType.Q4_K, GgmlType.Q6_K, GgmlType.Q8_0, GgmlType.BF16, GgmlType.F32
        };
        RandomModel model =
                new RandomModel(
                        SEED,
                        name ->
                                RandomModel.isExact(name)
                                        ? GgmlType.F32
                                        : name.contains("experts.") && !name.contains("down")
                                                ? GgmlType.Q5_K
                                                : types[Math.floorMod(name.hashCode(), 5)]);
        try (PackWeights pack = PackWeights.open(pack(model));
                Arena arena = Arena.ofConfined()) {
            TextWeights found = new TextWeights(pack, RandomModel.CONFIG);
            assertEquals(PackingMode.PACKED, WeightPacking.expertMode(found));
            assertEquals(PackingMode.PACKED, WeightPacking.expertMode(model.weights()));
            Map<String, WeightMatrix> sources = RandomModel.matrices(model.weights());
            RandomModel.matrices(found)
                    .forEach(
                            (name, matrix) -> {
                                if (matrix.packed().isPresent()) {
                                    List<WeightMatrix> source = List.of(sources.get(name));
                                    PackingMode mode =
                                            RandomModel.isExact(name)
                                                    ? PackingMode.EXACT
                                                    : PackingMode.PACKED;
                                    PackedMatrix expected =
                                            WeightPacking.keep(mode, Path.of("x"), source, arena);
                                    PackedMatrix ready =
                                            WeightPacking.keep(
                                                    mode, Path.of("x"), List.of(matrix), arena);
                                    assertEquals(expected.format(), ready.format(), name);
                                    assertEquals(-1, expected.data().mismatch(ready.data()), name);
                                    assertTrue(ready.data().isMapped(), name);
                                }
                            });
        }
    }

    @ParameterizedTest
    @CsvSource({
        "Q8, F32, Q8",
        "Q8, BF16, Q8",
        "Q8, Q4_K, Q4_K",
        "BF16, F32, BF16",
        "BF16, Q8_0, Q8_0"
    })
    void denseFormatRoundsWhatIsLargerAndNothingElse(
            DenseFormat dense, GgmlType type, WeightFormat expected) {
        RandomModel model =
                new RandomModel(
                        SEED,
                        name ->
                                RandomModel.isExact(name) || name.contains("experts.")
                                        ? GgmlType.F32
                                        : type,
                        true);
        Path packed = pack(model, PackSelection.all(RandomModel.CONFIG), dense);
        try (PackWeights pack = PackWeights.open(packed)) {
            TextWeights found = new TextWeights(pack, RandomModel.CONFIG);
            Map<String, WeightMatrix> matrices = RandomModel.matrices(found);
            RandomModel.matrices(model.weights())
                    .forEach(
                            (name, source) -> {
                                WeightMatrix matrix = matrices.get(name);
                                boolean kept =
                                        RandomModel.isExact(name)
                                                || name.contains("experts.")
                                                || name.contains("embed");
                                if (kept) {
                                    assertSameValues(name, source.floats(), matrix.floats());
                                } else if (!name.contains("out_proj")) {
                                    assertEquals(
                                            expected, matrix.packed().orElseThrow().format(), name);
                                    if (expected.name().equals(type.name())) {
                                        assertSameValues(name, source.floats(), matrix.floats());
                                    } else {
                                        assertNear(name, source.floats(), matrix.floats());
                                    }
                                }
                            });
        }
    }

    private static void assertNear(String name, float[] expected, float[] found) {
        for (int from = 0; from < expected.length; from += 32) {
            float largest = 0;
            for (int i = from; i < from + 32; i++) {
                largest = Math.max(largest, Math.abs(expected[i]));
            }
            for (int i = from; i < from + 32; i++) {
                float error = Math.abs(expected[i] - found[i]);
                assertTrue(
                        error <= largest / 250,
                        name + "[" + i + "]: " + expected[i] + " became " + found[i]);
            }
        }
    }

    @Test
    void partOfAModelHasThatPartOnly() {
        RandomModel model = RandomModel.of(SEED, GgmlType.Q4_K);
        PackSelection part =
                PackSelection.none(RandomModel.CONFIG).withExperts(0, 1, 2).withExperts(2, 0, 0);
        assertEquals("layers none, experts 0:1-2;2:0", part.toString());
        try (PackWeights pack = PackWeights.open(pack(model, part, DenseFormat.KEEP))) {
            TextWeights found = new TextWeights(pack, RandomModel.CONFIG);
            assertSameValues(
                    "up",
                    model.weights().expert(0, 2).up().floats(),
                    found.expert(0, 2).up().floats());
            assertSameValues(
                    "gate",
                    model.weights().expert(2, 0).gate().floats(),
                    found.expert(2, 0).gate().floats());
            // What rows the experts take is known of those that are elsewhere, too.
            assertEquals(PackingMode.PACKED, WeightPacking.expertMode(found));
            PackException missing = assertThrows(PackException.class, () -> found.expert(0, 0));
            assertTrue(missing.getMessage().contains("experts 0:1-2;2:0"), missing.getMessage());
            assertThrows(PackException.class, found::embedding);
        }
    }

    @Test
    void packIsAModelDirectory() {
        RandomModel model = RandomModel.of(SEED, GgmlType.Q4_K);
        try (ModelDirectory opened = ModelDirectory.open(pack(model))) {
            assertEquals(RandomModel.CONFIG, opened.config().text());
            assertEquals("{{ messages }}", opened.chatTemplate());
            assertEquals("digest-" + SEED, opened.modelDigest());
            assertEquals("pack", opened.name());
            assertThrows(ModelFileException.class, opened::tokenizer);
            assertThrows(ModelFileException.class, opened::packSource);
            assertSameModel(model.weights(), opened.textWeights());
        }
    }

    /// Reads everything that there is to read.
    private static void readAll(Path packed) {
        try (ModelDirectory opened = ModelDirectory.open(packed)) {
            opened.chatTemplate();
            try (ComputePool alone = new ComputePool(1)) {
                opened.pack().orElseThrow().verify(alone, PackProgress.NONE);
            }
        }
    }

    @Test
    void flippedBitIsFoundWhereverItIs() throws IOException {
        RandomModel model = RandomModel.of(SEED, GgmlType.Q4_K);
        PackSelection part =
                PackSelection.none(RandomModel.CONFIG).withDense(1, 1).withExperts(1, 0, 0);
        Path packed = pack(model, part, DenseFormat.KEEP);
        List<Path> files;
        try (Stream<Path> list = Files.list(packed)) {
            files = list.filter(file -> !file.toString().endsWith(".lock")).sorted().toList();
        }
        readAll(packed);
        Seeds.forAll(
                1000,
                random -> {
                    Path file = files.get(random.nextInt(files.size()));
                    try (RandomAccessFile bytes = new RandomAccessFile(file.toFile(), "rw")) {
                        long at = random.nextLong(bytes.length());
                        bytes.seek(at);
                        int right = bytes.read();
                        bytes.seek(at);
                        bytes.write(right ^ 1 << random.nextInt(8));
                        ModelFileException found =
                                assertThrows(ModelFileException.class, () -> readAll(packed));
                        assertTrue(
                                found.getMessage().startsWith(file.toString()),
                                file + ": " + found.getMessage());
                        bytes.seek(at);
                        bytes.write(right);
                    } catch (IOException e) {
                        throw new UncheckedIOException(e);
                    }
                });
    }

    @Test
    void fileThatIsCutOffOrMissingIsNamed() throws IOException {
        Path packed = pack(RandomModel.of(SEED, GgmlType.Q8_0));
        Path file = packed.resolve("layer-0001.experts");
        byte[] whole = Files.readAllBytes(file);
        Files.write(file, Arrays.copyOf(whole, whole.length - 4096));
        assertRefused(packed, file, "the manifest says " + whole.length);
        Files.delete(file);
        assertRefused(packed, file, "is missing");
        Path template = packed.resolve("chat_template.jinja");
        Files.delete(template);
        assertRefused(packed, template, "is missing");
    }

    private static void assertRefused(Path packed, Path file, String problem) {
        ModelFileException found = assertThrows(ModelFileException.class, () -> readAll(packed));
        assertTrue(found.getMessage().startsWith(file.toString()), found.getMessage());
        assertTrue(found.getMessage().contains(problem), found.getMessage());
    }

    @Test
    void manifestThatIsTornAnywhereIsRefused() throws IOException {
        Path packed = pack(RandomModel.of(SEED, GgmlType.Q8_0));
        Path manifest = packed.resolve(ManifestFile.NAME);
        byte[] whole = Files.readAllBytes(manifest);
        for (int length = 0; length < whole.length; length += 1 + length / 20) {
            byte[] torn = Arrays.copyOf(whole, length);
            PackException refused =
                    assertThrows(PackException.class, () -> ManifestFile.parse(manifest, torn));
            assertEquals(manifest, refused.file());
        }
    }

    /// With a sum that is right, so that what is wrong has to be seen.
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "\"version\":1 | \"version\":2 | version",
                "\"version\":1 | \"versions\":1 | version",
                "\"combineFractionBits\":20 | \"combineFractionBits\":31 | combineFractionBits",
                "\"format\":\"Q8_0\" | \"format\":\"Q9_0\" | format",
                "\"format\":\"Q8_0\" | \"format\":\"Q6_K\" | bytes, not",
                "\"layout\":0 | \"layout\":99 | there is no layout 99",
                "\"layout\":0 | \"lay\":0 | lay",
                "\"rows\":256 | \"rows\":-256 | matrix: -256",
                "\"name\":\"model.dense\" | \"name\":\"../model.dense\" | not the name of a file",
                "\"name\":\"layer-0000.dense\" | \"name\":\"model.dense\" | stands twice",
                "\"crc32c\":\" | \"crc32c\":\"x | not a checksum",
                "\"as\":\"packed\" | \"as\":\"zipped\" | zipped",
                "\"offset\":4096 | \"offset\":8192 | the region before it ends",
            })
    void manifestThatMakesNoSenseIsRefused(String from, String to, String problem)
            throws IOException {
        Path packed = pack(RandomModel.of(SEED, GgmlType.Q8_0));
        Path manifest = packed.resolve(ManifestFile.NAME);
        String whole = Files.readString(manifest);
        String head = whole.substring(0, 21);
        String rest = whole.substring(21).replaceFirst(Pattern.quote(from), to);
        assertTrue(!rest.equals(whole.substring(21)), "nothing was changed: " + from);
        byte[] json = rest.getBytes(StandardCharsets.UTF_8);
        String sum = Crc32c.hex(Crc32c.of(json));
        byte[] changed =
                (head.replaceFirst("[0-9a-f]{8}", sum) + rest).getBytes(StandardCharsets.UTF_8);
        PackException refused =
                assertThrows(PackException.class, () -> ManifestFile.parse(manifest, changed));
        assertTrue(refused.getMessage().contains(problem), refused.getMessage());
    }

    @Test
    void sumOfPiecesIsTheSumOfTheWhole() {
        Seeds.forAll(
                200,
                random -> {
                    byte[] whole = new byte[random.nextInt(5000)];
                    random.nextBytes(whole);
                    int cut = random.nextInt(whole.length + 1);
                    byte[] second = Arrays.copyOfRange(whole, cut, whole.length);
                    assertEquals(
                            Crc32c.of(whole),
                            Crc32c.join(
                                    Crc32c.of(Arrays.copyOf(whole, cut)),
                                    Crc32c.of(second),
                                    second.length));
                });
        // RFC 3720, appendix B.4: 32 bytes of zeros
        assertEquals("8a9136aa", Crc32c.hex(Crc32c.of(new byte[32])));
    }
}

package io.atoll.model.checkpoint;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.model.DemoModel;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class CheckpointTest {
    @TempDir Path directory;

    @Test
    void writtenTensorsAreReadBack() throws IOException {
        Path file = directory.resolve("model.safetensors");
        new SafetensorsWriter()
                .addF32("b", new long[] {2, 2}, new float[] {1, 2, 3, 4})
                .addBf16("a \"quoted\" é", new long[] {3}, new float[] {0.5f, -1, 2})
                .addF32("empty", new long[] {0, 4}, new float[0])
                .addF32("scalar", new long[0], new float[] {7})
                .write(file);
        try (Checkpoint checkpoint = Checkpoint.open(directory)) {
            assertEquals(
                    List.of("a \"quoted\" é", "b", "empty", "scalar"),
                    List.copyOf(checkpoint.names()));
            assertArrayEquals(new float[] {1, 2, 3, 4}, checkpoint.require("b").floats());
            assertArrayEquals(new long[] {2, 2}, checkpoint.require("b").shape());
            assertEquals(file, checkpoint.require("b").file());
            assertArrayEquals(
                    new float[] {0.5f, -1, 2}, checkpoint.require("a \"quoted\" é").floats());
            assertEquals(0, checkpoint.require("empty").elements());
            assertArrayEquals(new float[] {7}, checkpoint.require("scalar").floats());
            assertEquals(Optional.empty(), checkpoint.find("c"));
            assertTrue(checkpoint.contains("b"));
            CheckpointException missing =
                    assertThrows(CheckpointException.class, () -> checkpoint.require("c"));
            assertEquals(directory + ": c: tensor is missing", missing.getMessage());
        }
    }

    @Test
    void shardsAreOpenedOnlyWhenATensorOfTheirsIsAskedFor() throws IOException {
        writeShard("one.safetensors", "a");
        Files.writeString(directory.resolve("broken.safetensors"), "not a shard");
        writeIndex(
                "{\"a\": \"one.safetensors\", \"b\": \"broken.safetensors\", \"c\":"
                        + " \"absent.safetensors\"}");
        try (Checkpoint checkpoint = Checkpoint.open(directory)) {
            assertTrue(checkpoint.contains("c"));
            assertArrayEquals(new float[] {1}, checkpoint.require("a").floats());
            CheckpointException broken =
                    assertThrows(CheckpointException.class, () -> checkpoint.require("b"));
            assertEquals(directory.resolve("broken.safetensors"), broken.file());
            CheckpointException absent =
                    assertThrows(CheckpointException.class, () -> checkpoint.require("c"));
            assertEquals(
                    directory.resolve("absent.safetensors") + ": file: is missing",
                    absent.getMessage());
        }
    }

    @Test
    void tensorThatIsOnlyInTheIndexIsReported() throws IOException {
        writeShard("one.safetensors", "a");
        writeIndex("{\"a\": \"one.safetensors\", \"ghost\": \"one.safetensors\"}");
        try (Checkpoint checkpoint = Checkpoint.open(directory)) {
            CheckpointException ghost =
                    assertThrows(CheckpointException.class, () -> checkpoint.require("ghost"));
            assertTrue(
                    ghost.getMessage().contains("one.safetensors: ghost: is in the index"),
                    ghost.getMessage());
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "../one.safetensors",
                "sub/../../one.safetensors",
                "/etc/one.safetensors",
                "..",
                "",
                " ",
                "one.bin",
                "one\\u0000.safetensors"
            })
    void indexMayNotLeadOutOfTheDirectory(String name) throws IOException {
        writeIndex("{\"a\": \"" + name + "\"}");
        CheckpointException refusal =
                assertThrows(CheckpointException.class, () -> Checkpoint.open(directory));
        assertEquals("weight_map.a", refusal.where());
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "[]",
                "{}",
                "{\"weight_map\": []}",
                "{\"weight_map\": {\"a\": 1}}",
                "{\"weight_map\""
            })
    void damagedIndexIsRefused(String content) throws IOException {
        Files.writeString(directory.resolve("model.safetensors.index.json"), content);
        assertThrows(CheckpointException.class, () -> Checkpoint.open(directory));
    }

    @Test
    void tensorNamedTwiceInTheIndexIsRefused() throws IOException {
        writeIndex("{\"a\": \"one.safetensors\", \"a\": \"two.safetensors\"}");
        assertThrows(CheckpointException.class, () -> Checkpoint.open(directory));
    }

    @Test
    void directoryWithoutWeightsOrWithAChoiceIsRefused() throws IOException {
        CheckpointException none =
                assertThrows(CheckpointException.class, () -> Checkpoint.open(directory));
        assertTrue(none.getMessage().contains("found 0 such files"), none.getMessage());
        writeShard("one.safetensors", "a");
        writeShard("two.safetensors", "b");
        CheckpointException two =
                assertThrows(CheckpointException.class, () -> Checkpoint.open(directory));
        assertTrue(two.getMessage().contains("found 2 such files"), two.getMessage());
        Path absent = directory.resolve("absent");
        assertThrows(CheckpointException.class, () -> Checkpoint.open(absent));
    }

    @Test
    void closedCheckpointGivesNoMoreBytes() throws IOException {
        writeShard("one.safetensors", "a");
        Checkpoint checkpoint = Checkpoint.open(directory);
        Tensor tensor = checkpoint.require("a");
        checkpoint.close();
        checkpoint.close();
        assertThrows(IllegalStateException.class, tensor::floats);
        assertThrows(IllegalStateException.class, () -> checkpoint.find("a"));
    }

    @Test
    void tensorBeyondTwoGibibytesIsReached() throws IOException {
        // A sparse file: 3 GiB of zeros on no disk, then one element that is not zero.
        long elements = (3L << 30) + 1;
        String header =
                "{\"big\":{\"dtype\":\"U8\",\"shape\":["
                        + elements
                        + "],\"data_offsets\":[0,"
                        + elements
                        + "]}}";
        byte[] start = SafetensorsFileTest.file(header, 0);
        Path path = directory.resolve("model.safetensors");
        try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
            file.write(start);
            file.seek(start.length + elements - 1);
            file.write(42);
        }
        try (Checkpoint checkpoint = Checkpoint.open(directory)) {
            Tensor big = checkpoint.require("big");
            assertEquals(elements, big.elements());
            assertEquals(
                    42,
                    big.slice(elements - 1).data().get(java.lang.foreign.ValueLayout.JAVA_BYTE, 0));
            assertThrows(CheckpointException.class, () -> big.floats(0, new float[1], 0, 1));
        }
    }

    @Test
    void demoModelHasAllItsTensors() {
        try (Checkpoint checkpoint = Checkpoint.open(DemoModel.path())) {
            for (String name : checkpoint.names()) {
                assertFalse(checkpoint.require(name).elements() == 0, name);
            }
            assertEquals(
                    DType.F32,
                    checkpoint.require("model.language_model.layers.0.linear_attn.A_log").dtype());
        }
    }

    private void writeShard(String file, String tensor) throws IOException {
        new SafetensorsWriter()
                .addF32(tensor, new long[] {1}, new float[] {1})
                .write(directory.resolve(file));
    }

    private void writeIndex(String weightMap) throws IOException {
        Files.writeString(
                directory.resolve("model.safetensors.index.json"),
                "{\"metadata\": {}, \"weight_map\": " + weightMap + "}",
                StandardCharsets.UTF_8);
    }
}

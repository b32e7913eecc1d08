package io.atoll.coordinator.cluster;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class PlacementFileTest {
    @TempDir private Path directory;

    @Test
    void saysWhatWasWrittenLast() throws IOException {
        PlacementFile file = new PlacementFile(directory.resolve("deep/placement.json"));
        assertEquals(Map.of(), file.read());
        file.write(Map.of("w1", "0:0-3 0:0-3", "w2", "none 0:4-7 draining"));
        Map<String, String> last = Map.of("w1", "0:0-3 none");
        file.write(last);
        assertEquals(last, new PlacementFile(directory.resolve("deep/placement.json")).read());
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "{\"w1\": \"0:0", "[]", "null", "{\"w1\": null}", "{\"w1\": {}}"})
    void damageIsAnErrorThatNamesTheFile(String text) throws IOException {
        Path path = Files.writeString(directory.resolve("placement.json"), text);
        IOException e = assertThrows(IOException.class, new PlacementFile(path)::read);
        assertTrue(e.getMessage().contains(path.toString()), e.getMessage());
    }
}

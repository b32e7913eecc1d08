package io.atoll.cluster.config;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.cluster.config.ApiKeysFile.Entry;
import io.atoll.cluster.config.ApiKeysFile.Scope;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ApiKeysFileTest {
    private static final Path FILE = Path.of("keys.yaml");
    private static final String HASH = ApiKeysFile.hash("secret");

    @Test
    void aKeyWithoutMoreMayGenerateWithoutLimits() throws Exception {
        Entry key = ApiKeysFile.parse("[{name: a, sha256: " + HASH + "}]", FILE).keys().getFirst();
        assertEquals(
                new Entry("a", HASH, Set.of(Scope.GENERATE), Optional.empty(), Optional.empty(), 0),
                key);
    }

    @Test
    void everyFieldIsRead() throws Exception {
        String json =
                "[{\"name\": \"a\", \"sha256\": \""
                        + HASH.toUpperCase(java.util.Locale.ROOT)
                        + "\", \"scopes\": [\"metrics\", \"admin\"], \"requests-per-minute\": 5,"
                        + " \"max-concurrent\": 2, \"priority\": -3}]";
        assertEquals(
                List.of(
                        new Entry(
                                "a",
                                HASH,
                                Set.of(Scope.METRICS, Scope.ADMIN),
                                Optional.of(5),
                                Optional.of(2),
                                -3)),
                ApiKeysFile.parse(json, FILE).keys());
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "'' | No content",
                "{name: a} | from Object value",
                "[{}] | [0]: a key needs a name",
                "[{name: 'a b', sha256: HASH}] | a key needs a name of letters",
                "[{name: a}] | key 'a' needs a sha256 of 64 hexadecimal digits",
                "[{name: a, sha256: 12}] | key 'a' needs a sha256 of 64",
                "[{name: a, sha256: HASH, key: x}] | [0].key: unknown key",
                "[{name: a, sha256: HASH, scopes: [root]}] | [0].scopes[0]",
                "[{name: a, sha256: HASH, scopes: []}] | key 'a' needs a scope",
                "[{name: a, sha256: HASH, requests-per-minute: 0}] | requests-per-minute of key"
                        + " 'a' must be from 1 to 100000: 0",
                "[{name: a, sha256: HASH, max-concurrent: -1}] | max-concurrent of key 'a'",
                "[{name: a, sha256: HASH, priority: 101}] | priority of key 'a' must be from -100"
                        + " to 100: 101",
                "[{name: a, sha256: HASH}, {name: a, sha256: HASH}] | two keys are named 'a'",
                "[{name: a, sha256: HASH}, {name: b, sha256: HASH}] | key 'b' is the same",
                "[null] | [0]: is empty",
            })
    void badFileNamesPlaceAndValue(String yaml, String problem) {
        String message =
                assertThrows(
                                ConfigFileException.class,
                                () -> ApiKeysFile.parse(yaml.replace("HASH", HASH), FILE))
                        .getMessage();
        assertTrue(message.startsWith("keys.yaml"), message);
        assertTrue(message.contains(problem), message);
    }

    @Test
    void addingAKeyLeavesTheRestOfTheFileAsItIs() throws Exception {
        String before = "# ours\n- name: a # the first\n  sha256: " + HASH;
        Entry more = entry("b", "other");
        String after = ApiKeysFile.append(before, more, FILE);
        assertTrue(after.startsWith(before + "\n"), after);
        ApiKeysFile read = ApiKeysFile.parse(after, FILE);
        assertEquals(List.of("a", "b"), read.keys().stream().map(Entry::name).toList());
        assertEquals(more, read.keys().getLast());
        assertEquals(
                List.of(more), ApiKeysFile.parse(ApiKeysFile.append("", more, FILE), FILE).keys());
    }

    @Test
    void aKeyThatCannotBeAddedIsRefused() {
        String file = "- name: a\n  sha256: " + HASH + "\n";
        assertThrows(
                ConfigFileException.class, () -> ApiKeysFile.append(file, entry("a", "x"), FILE));
        assertThrows(
                ConfigFileException.class,
                () ->
                        ApiKeysFile.append(
                                "[{name: a, sha256: " + HASH + "}]", entry("b", "x"), FILE));
    }

    @Test
    void newKeysAreLongAndDiffer() {
        SecureRandom random = new SecureRandom();
        String key = ApiKeysFile.newKey(random);
        assertTrue(key.matches("sk-atoll-[A-Za-z0-9_-]{43}"), key);
        assertNotEquals(key, ApiKeysFile.newKey(random));
        assertEquals(64, ApiKeysFile.hash(key).length());
    }

    private static Entry entry(String name, String key) {
        return new Entry(
                name,
                ApiKeysFile.hash(key),
                Set.of(Scope.GENERATE, Scope.METRICS),
                Optional.of(7),
                Optional.empty(),
                10);
    }
}

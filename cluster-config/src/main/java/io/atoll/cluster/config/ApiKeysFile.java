package io.atoll.cluster.config;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.core.type.TypeReference;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.security.SecureRandom;
import java.util.Base64;
import java.util.Collections;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;

/// The API keys that a coordinator accepts, as a YAML (or JSON) list. The keys themselves are not in it, only their hashes.
///
/// ```yaml
/// - name: alice
///   sha256: 3f0a...
///   scopes: [generate]
///   requests-per-minute: 600
///   max-concurrent: 8
///   priority: 10
/// ```
///
/// The hash is plain SHA-256. A slow, salted hash protects passwords, which can be guessed; a key made here is 256 random bits,
/// which can't, and it is hashed once a request.
///
/// @param keys in the order of the file
public record ApiKeysFile(List<Entry> keys) {
    private static final String PREFIX = "sk-atoll-";
    private static final int KEY_BYTES = 32;

    public ApiKeysFile {
        keys = List.copyOf(keys);
        Set<String> names = new HashSet<>();
        Set<String> hashes = new HashSet<>();
        for (Entry key : keys) {
            if (!names.add(key.name())) {
                throw new IllegalArgumentException("two keys are named '" + key.name() + "'");
            }
            if (!hashes.add(key.sha256())) {
                throw new IllegalArgumentException(
                        "key '" + key.name() + "' is the same as one before it");
            }
        }
    }

    /// What a key is good for.
    public enum Scope {
        /// The API under `/v1`.
        @JsonProperty("generate")
        GENERATE,
        /// `GET /metrics`.
        @JsonProperty("metrics")
        METRICS,
        /// Everything under `/cluster`, and the metrics.
        @JsonProperty("admin")
        ADMIN
    }

    /// One key.
    ///
    /// @param name stands in the access log
    /// @param sha256 of the key's characters, in hexadecimal
    /// @param scopes absent: `generate` alone
    /// @param requestsPerMinute more in any 60 seconds are refused; empty for no limit
    /// @param maxConcurrent more at once are refused; empty for no limit
    /// @param priority the most urgent that its requests can be: lower goes first
    public record Entry(
            String name,
            String sha256,
            Set<Scope> scopes,
            Optional<Integer> requestsPerMinute,
            Optional<Integer> maxConcurrent,
            Integer priority) {
        public Entry {
            if (name == null || !name.matches("[A-Za-z0-9][A-Za-z0-9._@-]{0,62}")) {
                throw new IllegalArgumentException(
                        "a key needs a name of letters, digits, '.', '_', '@' and '-': " + name);
            }
            if (sha256 == null || !sha256.matches("[0-9a-fA-F]{64}")) {
                throw new IllegalArgumentException(
                        "key '" + name + "' needs a sha256 of 64 hexadecimal digits");
            }
            sha256 = sha256.toLowerCase(Locale.ROOT);
            scopes = scopes == null ? Set.of(Scope.GENERATE) : scopes;
            if (scopes.isEmpty()) {
                throw new IllegalArgumentException("key '" + name + "' needs a scope");
            }
            scopes = Collections.unmodifiableSet(EnumSet.copyOf(scopes));
            requestsPerMinute = limit("requests-per-minute", name, requestsPerMinute);
            maxConcurrent = limit("max-concurrent", name, maxConcurrent);
            priority = priority == null ? 0 : priority;
            if (priority < -100 || priority > 100) {
                throw new IllegalArgumentException(
                        "priority of key '" + name + "' must be from -100 to 100: " + priority);
            }
        }

        private static Optional<Integer> limit(String field, String key, Optional<Integer> value) {
            Optional<Integer> limit = value == null ? Optional.empty() : value;
            if (limit.isPresent() && (limit.get() < 1 || limit.get() > 100_000)) {
                throw new IllegalArgumentException(
                        field + " of key '" + key + "' must be from 1 to 100000: " + limit.get());
            }
            return limit;
        }
    }

    /// Reads and checks a file of keys.
    public static ApiKeysFile read(Path file) throws ConfigFileException {
        return parse(ConfigYaml.text(file), file);
    }

    /// @param file where the text is from, for messages
    public static ApiKeysFile parse(String text, Path file) throws ConfigFileException {
        List<Entry> keys = ConfigYaml.parse(text, file, new TypeReference<List<Entry>>() {});
        if (keys.contains(null)) {
            throw new ConfigFileException(file, 0, "[" + keys.indexOf(null) + "]", "is empty");
        }
        try {
            return new ApiKeysFile(keys);
        } catch (IllegalArgumentException e) {
            throw new ConfigFileException(file, 0, "", e.getMessage());
        }
    }

    /// The text of a file with one more key at its end; what it says so far stays as it is, comments included.
    ///
    /// @param text of the file so far, empty for a new one
    /// @throws ConfigFileException if the key can't be added there, such as for one of the same name
    public static String append(String text, Entry key, Path file) throws ConfigFileException {
        String gap = text.isEmpty() || text.endsWith("\n") ? "" : "\n";
        String longer = text + gap + ConfigYaml.write(List.of(key));
        boolean empty = text.lines().allMatch(line -> line.matches("\\s*(#.*)?"));
        int before = empty ? 0 : parse(text, file).keys().size();
        if (parse(longer, file).keys().size() != before + 1) {
            throw new ConfigFileException(file, 0, "", "is no list that can be added to");
        }
        return longer;
    }

    /// A new key: random, to be shown once.
    public static String newKey(SecureRandom random) {
        byte[] bytes = new byte[KEY_BYTES];
        random.nextBytes(bytes);
        return PREFIX + Base64.getUrlEncoder().withoutPadding().encodeToString(bytes);
    }

    /// What the file keeps of a key.
    public static String hash(String key) {
        try {
            return HexFormat.of()
                    .formatHex(
                            MessageDigest.getInstance("SHA-256")
                                    .digest(key.getBytes(StandardCharsets.UTF_8)));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java has SHA-256", e);
        }
    }
}

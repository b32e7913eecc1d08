package io.atoll.coordinator.gate;

import io.atoll.cluster.config.ApiKeysFile;
import io.atoll.cluster.config.ApiKeysFile.Entry;
import io.atoll.cluster.config.ApiKeysFile.Scope;
import io.atoll.cluster.config.ConfigFileException;
import io.atoll.cluster.security.WatchedFiles;
import io.atoll.proto.ErrorCode;
import io.atoll.proto.Failure;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;

/// The keys of one file, and what they have used. Any thread may call it.
public final class ApiKeys {
    /// More than this is no key of ours, and is not worth hashing.
    private static final int MAX_KEY_CHARACTERS = 1024;

    private final WatchedFiles<ApiKeysFile> file;
    private final Map<String, KeyUse> uses = new ConcurrentHashMap<>(); // by name

    /// @throws IOException naming the file and the place, if it can't be used
    public ApiKeys(Path path) throws IOException {
        file = new WatchedFiles<>(List.of(path), contents -> read(contents.getFirst(), path));
    }

    private static ApiKeysFile read(byte[] contents, Path path) throws IOException {
        try {
            return ApiKeysFile.parse(new String(contents, StandardCharsets.UTF_8), path);
        } catch (ConfigFileException e) {
            throw new IOException(e.getMessage(), e);
        }
    }

    /// Looks whether the file has changed. A key that is not in it any more is refused from then on; what it has under way goes
    /// on.
    public void check() {
        if (file.check()) {
            List<String> names = file.current().keys().stream().map(Entry::name).toList();
            uses.keySet().retainAll(names);
        }
    }

    /// Lets a request through, or says why not.
    ///
    /// @param presented the key that came with the request, if one did
    /// @param scope what it wants to do
    /// @param nowNanos [System#nanoTime]
    public Admission admit(Optional<String> presented, Scope scope, long nowNanos) {
        if (presented.isEmpty()) {
            return refused(
                    ErrorCode.INVALID_API_KEY,
                    "an API key is needed, as `Authorization: Bearer KEY` or `x-api-key: KEY`");
        }
        Optional<Entry> found = find(presented.get());
        if (found.isEmpty()) {
            return refused(ErrorCode.INVALID_API_KEY, "the API key is not known here");
        }
        Entry key = found.get();
        if (!allows(key, scope)) {
            return refused(
                    ErrorCode.MISSING_SCOPE,
                    "key '"
                            + key.name()
                            + "' lacks the scope "
                            + scope.name().toLowerCase(Locale.ROOT));
        }
        KeyUse use = uses.computeIfAbsent(key.name(), _ -> new KeyUse());
        Optional<Admission.Refused> tooMuch = use.begin(key, nowNanos);
        return tooMuch.isPresent()
                ? tooMuch.get()
                : new Admission.Admitted(key.name(), key.priority(), use);
    }

    /// Compares with every key, and each to its end: how long it takes tells nothing about them.
    private Optional<Entry> find(String presented) {
        if (presented.length() > MAX_KEY_CHARACTERS) {
            return Optional.empty();
        }
        byte[] hash = ApiKeysFile.hash(presented).getBytes(StandardCharsets.US_ASCII);
        Optional<Entry> found = Optional.empty();
        for (Entry key : file.current().keys()) {
            if (MessageDigest.isEqual(hash, key.sha256().getBytes(StandardCharsets.US_ASCII))) {
                found = Optional.of(key);
            }
        }
        return found;
    }

    private static boolean allows(Entry key, Scope scope) {
        return key.scopes().contains(scope)
                || (scope == Scope.METRICS && key.scopes().contains(Scope.ADMIN));
    }

    private static Admission refused(ErrorCode code, String message) {
        return new Admission.Refused(new Failure(code, message), 0);
    }
}

package io.atoll.cli.client;

import java.net.URI;
import java.util.Optional;
import picocli.CommandLine.Option;

/// Which endpoint a command talks to, and its key.
public final class UrlOption {
    private static final URI DEFAULT_URL = URI.create("http://127.0.0.1:8000");

    /// An option would show the key to whoever lists processes.
    private static final String KEY_VARIABLE = "ATOLL_API_KEY";

    @Option(
            names = "--url",
            paramLabel = "URL",
            description =
                    "An endpoint that serves already. Default: http://127.0.0.1:8000. If it wants"
                            + " an API key, put it into ATOLL_API_KEY.")
    private Optional<URI> url;

    /// Whether one was given.
    public boolean isGiven() {
        return url.isPresent();
    }

    public URI url() {
        return url.orElse(DEFAULT_URL);
    }

    /// A client of it.
    public ApiClient client() {
        String key = System.getenv(KEY_VARIABLE);
        return new ApiClient(
                url(), key == null || key.isBlank() ? Optional.empty() : Optional.of(key.strip()));
    }
}

package io.atoll.model.quant;

import java.net.URISyntaxException;
import java.net.URL;
import java.nio.file.Path;

/// Finds files of the test resources.
public final class TestResources {
    private TestResources() {}

    public static Path file(String name) {
        URL url = TestResources.class.getResource("/quant/" + name);
        if (url == null) {
            throw new IllegalStateException("no test resource quant/" + name);
        }
        try {
            return Path.of(url.toURI());
        } catch (URISyntaxException e) {
            throw new IllegalStateException(e);
        }
    }
}

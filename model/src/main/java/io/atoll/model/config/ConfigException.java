package io.atoll.model.config;

import java.nio.file.Path;

/// A configuration file is missing, is not JSON, or describes a model that this program cannot run.
///
/// [#where()] is the field, as a path such as `text_config.rope_parameters.factor`.
public final class ConfigException extends ModelFileException {
    public ConfigException(Path file, String field, String message) {
        super(file, field, message);
    }

    public ConfigException(Path file, String field, String message, Throwable cause) {
        super(file, field, message, cause);
    }
}

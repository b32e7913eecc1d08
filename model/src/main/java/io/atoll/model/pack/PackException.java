package io.atoll.model.pack;

import io.atoll.model.config.ModelFileException;
import java.nio.file.Path;

/// A pack is damaged, unfinished or not what is asked for, or one cannot be written.
///
/// [#where()] is the region or field of the file.
public final class PackException extends ModelFileException {
    public PackException(Path file, String where, String message) {
        super(file, where, message);
    }

    public PackException(Path file, String where, String message, Throwable cause) {
        super(file, where, message, cause);
    }
}

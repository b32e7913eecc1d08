package io.atoll.model.gguf;

import io.atoll.model.config.ModelFileException;
import java.nio.file.Path;

/// A GGUF file is missing, damaged, or of a kind this program does not support.
///
/// [#where()] is the metadata key, the tensor, or the part of the header.
public final class GgufException extends ModelFileException {
    public GgufException(Path file, String where, String message) {
        super(file, where, message);
    }

    public GgufException(Path file, String where, String message, Throwable cause) {
        super(file, where, message, cause);
    }
}

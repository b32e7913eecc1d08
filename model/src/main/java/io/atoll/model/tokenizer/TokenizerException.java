package io.atoll.model.tokenizer;

import io.atoll.model.config.ModelFileException;
import java.nio.file.Path;

/// A vocabulary file is missing, damaged, or of a kind other than byte-level BPE.
public final class TokenizerException extends ModelFileException {
    public TokenizerException(Path file, String where, String message) {
        super(file, where, message);
    }

    public TokenizerException(Path file, String where, String message, Throwable cause) {
        super(file, where, message, cause);
    }
}

package io.atoll.model.config;

import java.nio.file.Path;

/// A file of a model is missing, damaged, or of a kind this program does not support.
///
/// One subclass for each kind of file; a command line can catch this type and print the message, which names the
/// file, the place in it and the value found.
public abstract class ModelFileException extends RuntimeException {
    private static final int LONGEST = 800;

    private final transient Path file;
    private final String where;

    /// @param file the file or directory at fault
    /// @param where the field, tensor or byte range in it
    /// @param problem what is wrong, with the value found
    protected ModelFileException(Path file, String where, String problem) {
        super(file + ": " + shorten(where) + ": " + shorten(problem));
        this.file = file;
        this.where = shorten(where);
    }

    /// As the other constructor, with the failure that caused this one.
    protected ModelFileException(Path file, String where, String problem, Throwable cause) {
        super(file + ": " + shorten(where) + ": " + shorten(problem), cause);
        this.file = file;
        this.where = shorten(where);
    }

    /// A message is no place for a whole file, which a field may be.
    private static String shorten(String text) {
        return text.length() > LONGEST ? text.substring(0, LONGEST) + "…" : text;
    }

    /// The file or directory at fault.
    public Path file() {
        return file;
    }

    /// The field, tensor or byte range in the file.
    public String where() {
        return where;
    }
}

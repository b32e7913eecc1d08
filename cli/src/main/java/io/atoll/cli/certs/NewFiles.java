package io.atoll.cli.certs;

import io.atoll.cluster.security.PemFiles;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.ByteBuffer;
import java.nio.channels.SeekableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Set;

/// Files that nobody has written before: a key that is gone can't be had back.
final class NewFiles {
    private NewFiles() {}

    /// @throws IOException if one of them is there
    static void refuseExisting(Path... files) throws IOException {
        for (Path file : files) {
            if (Files.exists(file)) {
                throw new IOException(file + " is there already and is not overwritten");
            }
        }
    }

    /// Writes a certificate and its key.
    static void write(CertificateAuthority.Issued made, Path certificate, Path key)
            throws IOException {
        writePrivate(key, PemFiles.write(made.key()));
        writePublic(certificate, PemFiles.write(made.certificate()));
    }

    /// Says where a certificate and its key are, and until when they hold.
    static void report(
            CertificateAuthority.Issued made, Path certificate, Path key, PrintWriter out) {
        out.printf(
                "%s and %s, valid until %s%n",
                certificate, key, made.certificate().getNotAfter().toInstant());
        out.flush();
    }

    /// Only its owner may read it, from its first moment on.
    static void writePrivate(Path file, String text) throws IOException {
        write(file, text, "rw-------");
    }

    static void writePublic(Path file, String text) throws IOException {
        write(file, text, "rw-r--r--");
    }

    private static void write(Path file, String text, String permissions) throws IOException {
        try (SeekableByteChannel channel =
                Files.newByteChannel(
                        file,
                        Set.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE),
                        PosixFilePermissions.asFileAttribute(
                                PosixFilePermissions.fromString(permissions)))) {
            ByteBuffer bytes = StandardCharsets.US_ASCII.encode(text);
            while (bytes.hasRemaining()) {
                channel.write(bytes);
            }
        } catch (FileAlreadyExistsException e) {
            throw new IOException(file + " is there already and is not overwritten", e);
        }
    }
}

package io.atoll.cli.certs;

import io.atoll.cluster.security.PemFiles;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.security.cert.CertificateEncodingException;
import java.security.cert.CertificateParsingException;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.time.Instant;
import java.util.Collection;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/// Says what the certificates in a file are.
@Command(
        name = "show",
        description = "Say whose a certificate is, until when, and its fingerprint.",
        footer = {"", "Example:", "  atoll certs show w1/node.pem"})
public final class CertsShowCommand implements Callable<Integer> {
    @Spec private CommandSpec command;

    @Parameters(paramLabel = "FILE", description = "PEM, with one certificate or several.")
    private Path file;

    @Override
    public Integer call() throws IOException {
        byte[] contents;
        try {
            contents = Files.readAllBytes(file);
        } catch (NoSuchFileException e) {
            throw new IOException(file + ": there is no such file", e);
        }
        PrintWriter out = command.commandLine().getOut();
        for (X509Certificate certificate : PemFiles.certificates(contents, file)) {
            print(certificate, out);
        }
        out.flush();
        return 0;
    }

    private void print(X509Certificate certificate, PrintWriter out) throws IOException {
        boolean authority = certificate.getBasicConstraints() >= 0;
        Instant end = certificate.getNotAfter().toInstant();
        out.printf(
                "%s %s%n", authority ? "authority" : "node", certificate.getSubjectX500Principal());
        out.printf("  issued by    %s%n", certificate.getIssuerX500Principal());
        if (!authority) {
            out.printf("  hosts        %s%n", hosts(certificate));
        }
        out.printf("  valid from   %s%n", certificate.getNotBefore().toInstant());
        out.printf("  valid until  %s (%s)%n", end, left(end, Instant.now()));
        out.printf("  serial       %s%n", certificate.getSerialNumber().toString(16));
        out.printf("  sha-256      %s%n", fingerprint(certificate));
    }

    private String hosts(X509Certificate certificate) throws IOException {
        try {
            Collection<List<?>> names = certificate.getSubjectAlternativeNames();
            return names == null
                    ? "none"
                    : names.stream()
                            .map(name -> String.valueOf(name.get(1)))
                            .collect(Collectors.joining(", "));
        } catch (CertificateParsingException e) {
            throw new IOException(file + ": " + e.getMessage(), e);
        }
    }

    private static String left(Instant end, Instant now) {
        Duration left = Duration.between(now, end);
        return left.isNegative() ? "over" : left.toDays() + " days left";
    }

    private String fingerprint(X509Certificate certificate) throws IOException {
        try {
            return HexFormat.ofDelimiter(":")
                    .withUpperCase()
                    .formatHex(
                            MessageDigest.getInstance("SHA-256").digest(certificate.getEncoded()));
        } catch (CertificateEncodingException e) {
            throw new IOException(file + ": " + e.getMessage(), e);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java has SHA-256", e);
        }
    }
}

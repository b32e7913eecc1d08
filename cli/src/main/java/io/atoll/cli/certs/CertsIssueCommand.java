package io.atoll.cli.certs;

import io.atoll.cluster.security.PemFiles;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/// Makes a node's key and certificate, in a directory that is ready to be copied to its machine.
@Command(
        name = "issue",
        description = "Make a key and a certificate for a node.",
        footer = {
            "",
            "DIR gets node.pem, node.key and a copy of ca.pem; copy them to the node, to where the",
            "`security` section of the cluster file says.",
            "",
            "Examples:",
            "  atoll certs issue w1 --host 10.0.0.11 --ca ca --out w1",
            "  atoll certs issue w2 --host w2.example.org --host 10.0.0.12 --ca ca --out w2"
        })
public final class CertsIssueCommand implements Callable<Integer> {
    static final String CERTIFICATE = "node.pem";
    static final String KEY = "node.key";

    private static final int MAX_DAYS = 3650;

    @Spec private CommandSpec command;

    @Parameters(paramLabel = "NAME", description = "What logs call the node.")
    private String name;

    @Option(
            names = "--host",
            paramLabel = "HOST",
            description =
                    "A name or address as the cluster file has it; others check it when they"
                            + " connect. Default: NAME.")
    private List<String> hosts = List.of();

    @Option(
            names = "--ca",
            paramLabel = "DIR",
            required = true,
            description = "The authority that `atoll certs init` made.")
    private Path authority;

    @Option(
            names = "--out",
            paramLabel = "DIR",
            required = true,
            description = "Where to put the files; made if need be.")
    private Path out;

    @Option(
            names = "--days",
            paramLabel = "N",
            description =
                    "How long it is valid, at most as long as the authority. Default:"
                            + " ${DEFAULT-VALUE}.")
    private int days = 365;

    @Override
    public Integer call() throws IOException {
        if (name.isBlank()) {
            throw new ParameterException(command.commandLine(), "NAME must not be blank");
        }
        if (days < 1 || days > MAX_DAYS) {
            throw new ParameterException(
                    command.commandLine(), "--days must be from 1 to " + MAX_DAYS + ": " + days);
        }
        Path certificate = out.resolve(CERTIFICATE);
        Path key = out.resolve(KEY);
        Path copy = out.resolve(CertificateAuthority.CERTIFICATE);
        NewFiles.refuseExisting(certificate, key);
        CertificateAuthority signer = CertificateAuthority.open(authority);
        Instant now = Instant.now();
        CertificateAuthority.Issued made;
        try {
            made =
                    signer.issue(
                            name,
                            hosts.isEmpty() ? List.of(name) : hosts,
                            now,
                            now.plus(Duration.ofDays(days)));
        } catch (IllegalArgumentException e) {
            throw new ParameterException(command.commandLine(), "--host: " + e.getMessage(), e);
        }
        Files.createDirectories(out);
        NewFiles.write(made, certificate, key);
        if (!Files.exists(copy)) {
            NewFiles.writePublic(copy, PemFiles.write(signer.certificate()));
        }
        NewFiles.report(made, certificate, key, command.commandLine().getOut());
        return 0;
    }
}

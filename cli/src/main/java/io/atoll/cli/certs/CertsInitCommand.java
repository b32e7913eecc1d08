package io.atoll.cli.certs;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/// Makes the authority of a cluster.
@Command(
        name = "init",
        description = "Make the authority of a cluster: ca.pem for every node, ca.key for nobody.",
        footer = {
            "",
            "Whoever has ca.key can make nodes of the cluster; keep it off the nodes.",
            "",
            "Example:",
            "  atoll certs init ca"
        })
public final class CertsInitCommand implements Callable<Integer> {
    private static final int MAX_DAYS = 36_500;

    @Spec private CommandSpec command;

    @Parameters(paramLabel = "DIR", description = "Where to put the files; made if need be.")
    private Path directory;

    @Option(
            names = "--name",
            paramLabel = "NAME",
            description = "Stands in the certificate. Default: ${DEFAULT-VALUE}.")
    private String name = "Atoll cluster";

    @Option(
            names = "--days",
            paramLabel = "N",
            description = "How long it is valid. Default: ${DEFAULT-VALUE}.")
    private int days = 3650;

    @Override
    public Integer call() throws IOException {
        if (name.isBlank()) {
            throw new ParameterException(command.commandLine(), "--name must not be blank");
        }
        if (days < 1 || days > MAX_DAYS) {
            throw new ParameterException(
                    command.commandLine(), "--days must be from 1 to " + MAX_DAYS + ": " + days);
        }
        Path certificate = directory.resolve(CertificateAuthority.CERTIFICATE);
        Path key = directory.resolve(CertificateAuthority.KEY);
        NewFiles.refuseExisting(certificate, key);
        Files.createDirectories(directory);
        Instant now = Instant.now();
        CertificateAuthority.Issued made =
                CertificateAuthority.create(name, now, now.plus(Duration.ofDays(days)));
        NewFiles.write(made, certificate, key);
        NewFiles.report(made, certificate, key, command.commandLine().getOut());
        return 0;
    }
}

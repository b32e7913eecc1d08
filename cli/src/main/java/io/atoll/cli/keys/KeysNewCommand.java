package io.atoll.cli.keys;

import io.atoll.cluster.config.ApiKeysFile;
import io.atoll.cluster.config.ApiKeysFile.Entry;
import io.atoll.cluster.config.ApiKeysFile.Scope;
import io.atoll.cluster.config.ConfigFileException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.SecureRandom;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/// Makes a key: shows it once, and keeps only its hash.
@Command(
        name = "new",
        description = "Make an API key. It is shown once; the file gets its hash.",
        footer = {
            "",
            "A coordinator reads the file that its cluster file names as `coordinator.api-keys`,"
                    + " and",
            "notices a change within a second.",
            "",
            "Examples:",
            "  atoll keys new alice --file keys.yaml --requests-per-minute 600",
            "  atoll keys new prometheus --file keys.yaml --scopes metrics"
        })
public final class KeysNewCommand implements Callable<Integer> {
    @Spec private CommandSpec command;

    @Parameters(paramLabel = "NAME", description = "What the access log calls it.")
    private String name;

    @Option(
            names = "--file",
            paramLabel = "FILE",
            description = "Add it to this file. Default: print the lines to add.")
    private Optional<Path> file;

    @Option(
            names = "--scopes",
            split = ",",
            paramLabel = "SCOPE",
            description = "Any of generate, metrics, admin. Default: generate.")
    private List<String> scopes = List.of("generate");

    @Option(
            names = "--requests-per-minute",
            paramLabel = "N",
            description = "More in any 60 seconds are refused. Default: no limit.")
    private Optional<Integer> requestsPerMinute;

    @Option(
            names = "--max-concurrent",
            paramLabel = "N",
            description = "More at once are refused. Default: no limit.")
    private Optional<Integer> maxConcurrent;

    @Option(
            names = "--priority",
            paramLabel = "P",
            description = "The most urgent that its requests can be: lower goes first. Default: 0.")
    private int priority;

    @Override
    public Integer call() throws IOException, ConfigFileException {
        String key = ApiKeysFile.newKey(new SecureRandom());
        Entry entry = entry(key);
        if (file.isPresent()) {
            Path path = file.get();
            boolean known = Files.exists(path);
            String text = known ? Files.readString(path) : "";
            replace(path, ApiKeysFile.append(text, entry, path), known);
        } else {
            command.commandLine().getErr().print(ApiKeysFile.append("", entry, Path.of("-")));
        }
        command.commandLine().getOut().println(key);
        return 0;
    }

    private Entry entry(String key) {
        try {
            return new Entry(
                    name,
                    ApiKeysFile.hash(key),
                    scopes(),
                    requestsPerMinute,
                    maxConcurrent,
                    priority);
        } catch (IllegalArgumentException e) {
            throw new ParameterException(command.commandLine(), e.getMessage());
        }
    }

    private Set<Scope> scopes() {
        Set<Scope> known = EnumSet.noneOf(Scope.class);
        for (String scope : scopes) {
            try {
                known.add(Scope.valueOf(scope.toUpperCase(Locale.ROOT)));
            } catch (IllegalArgumentException e) {
                throw new IllegalArgumentException(
                        "--scopes: must be any of generate, metrics, admin: " + scope, e);
            }
        }
        return known;
    }

    /// At once, so that a coordinator never reads half a file, and readable for its owner alone if it is new.
    private static void replace(Path path, String text, boolean known) throws IOException {
        Path target = known ? path.toRealPath() : path.toAbsolutePath();
        Path fresh =
                Files.createTempFile(
                        target.getParent(),
                        target.getFileName().toString(),
                        ".new",
                        PosixFilePermissions.asFileAttribute(
                                PosixFilePermissions.fromString("rw-------")));
        try {
            Files.writeString(fresh, text);
            if (known) {
                Files.setPosixFilePermissions(
                        fresh, Files.getPosixFilePermissions(target, LinkOption.NOFOLLOW_LINKS));
            }
            Files.move(
                    fresh,
                    target,
                    StandardCopyOption.ATOMIC_MOVE,
                    StandardCopyOption.REPLACE_EXISTING);
        } finally {
            Files.deleteIfExists(fresh);
        }
    }
}

package io.atoll.cli.conformance;

import io.atoll.cli.AtollHome;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;

/// One set of golden files, and where to find what it shares with other sets: a set with other cases of the same kind need not carry
/// the model, the vocabulary and the template again.
final class FixtureSet {
    private static final String MODEL = "demo-model";

    private final Path directory;
    private final List<Path> bases;
    private final Optional<Path> model;

    /// @param directory the set
    /// @param base another set, asked for what this one lacks
    /// @param model takes the place of the sets' own model; without it and without theirs, it is the one that comes with Atoll
    FixtureSet(Path directory, Optional<Path> base, Optional<Path> model) {
        this.directory = directory;
        this.model = model;
        List<Path> found = new ArrayList<>(List.of(directory));
        base.ifPresent(found::add);
        found.add(directory.toAbsolutePath().normalize().resolveSibling("fixtures"));
        this.bases = found.stream().map(p -> p.toAbsolutePath().normalize()).distinct().toList();
    }

    boolean has(String suite) {
        return Files.isDirectory(directory.resolve(suite));
    }

    /// A file of this set's own.
    Path file(String suite, String name) {
        return directory.resolve(suite).resolve(name);
    }

    /// The directory of the model that the files were made with.
    Path model() {
        if (model.isPresent()) {
            return model.get();
        }
        List<Path> tried = new ArrayList<>(bases.stream().map(b -> b.resolve(MODEL)).toList());
        tried.add(AtollHome.demoModel());
        return firstExisting(tried, "no model; give one with --model");
    }

    /// A file that several sets share, in this set or another, if any has it.
    Optional<Path> findShared(String relative) {
        return bases.stream().map(b -> b.resolve(relative)).filter(Files::exists).findFirst();
    }

    /// A file that several sets share, by its path in the set that has it.
    Path shared(String relative) {
        String inModel = MODEL + "/";
        if (relative.startsWith(inModel)) {
            return model().resolve(relative.substring(inModel.length()));
        }
        return firstExisting(
                bases.stream().map(b -> b.resolve(relative)).toList(),
                "missing; give a set that has it with --fixtures");
    }

    private Path firstExisting(List<Path> candidates, String problem) {
        return candidates.stream()
                .filter(Files::exists)
                .findFirst()
                .orElseThrow(
                        () ->
                                new FixtureException(
                                        candidates.getFirst(), problem + ", tried " + candidates));
    }

    /// SHA-256 of a file, in hex.
    static String sha256(Path file) {
        try (var in = Files.newInputStream(file)) {
            MessageDigest digest = MessageDigest.getInstance("SHA-256");
            byte[] buffer = new byte[1 << 16];
            for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
                digest.update(buffer, 0, n);
            }
            return HexFormat.of().formatHex(digest.digest());
        } catch (IOException e) {
            throw new FixtureException(file, "cannot be read: " + e, e);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every JDK has SHA-256", e);
        }
    }
}

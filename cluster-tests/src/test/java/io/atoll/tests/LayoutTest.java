package io.atoll.tests;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/// Which room a line belongs to: the rules of the README's table of modules, checked.
class LayoutTest {
    private static final Path ROOT = Path.of(System.getProperty("atoll.root"));
    private static final JavaClasses CLASSES =
            new ClassFileImporter()
                    .withImportOption(new ImportOption.DoNotIncludeTests())
                    .importPackages("io.atoll");

    @Test
    void kernelsUseNothingOfOurs() {
        mayNotUse(
                "io.atoll.kernels..", "io.atoll.model..", "io.atoll.proto..", "io.atoll.cluster..");
    }

    @Test
    void modelUsesKernelsOnly() {
        mayNotUse("io.atoll.model..", "io.atoll.proto..", "io.atoll.cluster..", "io.grpc..");
    }

    @Test
    void protoAndClusterConfigUseNothingOfOurs() {
        mayNotUse(
                "io.atoll.proto..", "io.atoll.kernels..", "io.atoll.model..", "io.atoll.cluster..");
        mayNotUse(
                "io.atoll.cluster..", "io.atoll.kernels..", "io.atoll.model..", "io.atoll.proto..");
    }

    @Test
    void workersKnowNeitherEachOtherNorTheCoordinator() {
        mayNotUse(
                "io.atoll.expert..",
                "io.atoll.attention..",
                "io.atoll.coordinator..",
                "io.atoll.cli..");
        mayNotUse(
                "io.atoll.attention..",
                "io.atoll.expert..",
                "io.atoll.coordinator..",
                "io.atoll.cli..");
    }

    @Test
    void coordinatorSeesAnAttentionWorkerThroughItsStepPackageOnly() {
        mayNotUse(
                "io.atoll.coordinator..",
                "io.atoll.attention.forward..",
                "io.atoll.attention.state..",
                "io.atoll.attention.moe..",
                "io.atoll.attention.sampling..",
                "io.atoll.expert..",
                "io.atoll.cli..");
    }

    @Test
    void incubatingAndOptionalLibrariesStayInTheirRooms() {
        onlyIn("io.atoll.kernels.vector..", "jdk.incubator.vector..");
        onlyIn("io.atoll.kernels.cuda..", "jcuda..");
        onlyIn("io.atoll.cli.certs..", "org.bouncycastle..");
        onlyIn("io.atoll.cluster.membership..", "com.hazelcast..");
        onlyIn("io.atoll.coordinator.http..", "com.linecorp.armeria..");
        onlyIn("io.atoll.coordinator.metrics..", "io.prometheus..");
        onlyIn("io.atoll.coordinator.trace..", "io.opentelemetry..");
    }

    @Test
    void schedulerIsPure() {
        noClasses()
                .that()
                .resideInAPackage("io.atoll.coordinator.scheduler..")
                .should()
                .callMethod(System.class, "nanoTime")
                .orShould()
                .callMethod(System.class, "currentTimeMillis")
                .orShould()
                .dependOnClassesThat()
                .resideInAnyPackage("java.util.concurrent.locks..", "java.net..", "java.io..")
                .check(CLASSES);
    }

    @Test
    void everyFileOfTheReadmesWalkExists() throws IOException {
        String readme = Files.readString(ROOT.resolve("README.md"));
        Matcher link = Pattern.compile("\\]\\(([^)#]+)(#[^)]*)?\\)").matcher(readme);
        int links = 0;
        while (link.find()) {
            String target = link.group(1);
            if (!target.contains("://")) {
                links++;
                assertTrue(Files.exists(ROOT.resolve(target)), "README.md names " + target);
            }
        }
        assertTrue(links >= 20, "the walk has only " + links + " links");
    }

    @Test
    void everyPackageSaysWhatItOwns() throws IOException {
        try (Stream<Path> files = Files.walk(ROOT)) {
            List<Path> directories =
                    files.filter(path -> path.toString().endsWith(".java"))
                            .filter(path -> path.toString().contains("/src/main/java/"))
                            .map(Path::getParent)
                            .distinct()
                            .toList();
            assertFalse(directories.isEmpty());
            for (Path directory : directories) {
                assertTrue(
                        Files.exists(directory.resolve("package-info.java")),
                        directory + " has no package-info.java");
            }
        }
    }

    private static void mayNotUse(String from, String... targets) {
        noClasses()
                .that()
                .resideInAPackage(from)
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage(targets)
                .check(CLASSES);
    }

    private static void onlyIn(String room, String library) {
        noClasses()
                .that()
                .resideInAPackage("io.atoll..")
                .and()
                .resideOutsideOfPackage(room)
                .and()
                .resideOutsideOfPackage("io.atoll.benchmarks..")
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage(library)
                .check(CLASSES);
    }
}

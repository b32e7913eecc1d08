package io.atoll.cluster.config;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ClusterFileTest {
    private static final Path FILE = Path.of("cluster.yaml");

    @Test
    void defaultsAreThese() {
        assertEquals(
                """
                cluster-id: atoll
                pack-cache-bytes: 500000000000
                replication: 1
                gone-after: 30s
                transfer-bytes-per-second: 0
                coordinator:
                  listen: 127.0.0.1:8000
                  max-queued-requests: 64
                  max-running-requests: 16
                  max-step-rows: 256
                  max-decode-delay: 500ms
                  checkpoint-rows: 2048
                  max-body-bytes: 16777216
                  max-prompt-tokens: 1048576
                  max-output-tokens: 1048576
                  max-queue-time: 120s
                  request-timeout: 600s
                  drain-timeout: 20s
                  cors-origins: []
                  access-log: true
                  heartbeat: 10s
                attention-worker:
                  listen: 127.0.0.1:7100
                  threads: 0
                  max-sequences: 16
                  max-sequence-tokens: 0
                  prefix-cache-megabytes: 2048
                  kv-tokens: 0
                  kv-format: bf16
                  combine-deadline: 30s
                  failure-deadline: 2s
                  reconnect-grace: 30s
                  checkpoint-directory-bytes: 68719476736
                  speculation:
                    drafter: "off"
                    max-drafts: 4
                expert-workers: []
                """,
                ClusterFile.defaults().toYaml());
    }

    @Test
    void fileIsReadIntoRecords() throws ConfigFileException {
        ClusterFile file =
                ClusterFile.parse(
                        """
                        cluster-id: demo
                        model: /models/small
                        coordinator:
                          listen: "[::1]:9000"
                          request-timeout: 90s
                        attention-worker:
                          combine-deadline: 150ms
                        expert-workers:
                          - {name: w1, address: "10.0.0.1:7001", experts: 0-3:0-15}
                          - name: w2
                            address: 10.0.0.2:7001
                            threads: 4
                        """,
                        FILE);
        assertEquals("demo", file.clusterId());
        assertEquals(Optional.of(Path.of("/models/small")), file.model());
        assertEquals(new HostPort("::1", 9000), file.coordinator().listen());
        assertEquals(Duration.ofSeconds(90), file.coordinator().requestTimeout());
        assertEquals(Duration.ofMillis(150), file.attentionWorker().combineDeadline());
        assertEquals(Optional.of("0-3:0-15"), file.expertWorker("w1").experts());
        assertEquals(4, file.expertWorker("w2").threads());
    }

    @Test
    void settingsInForcePrintAsAFileThatReadsBackTheSame() throws ConfigFileException {
        ClusterFile file =
                ClusterFile.parse(
                        """
                        model: /m
                        pack-cache: /var/cache/atoll
                        pack-cache-bytes: 100000000000
                        security: {ca: ca.pem, certificate: node.pem, key: node.key}
                        coordinator:
                          attention-worker: h:1
                          model-name: x
                          api-keys: keys.yaml
                          tls: {certificate: c.pem, key: k.pem}
                          cors-origins: ["https://chat.example.org", "http://localhost:3000"]
                          access-log: false
                          heartbeat: 15s
                          traces: {endpoint: "http://otel:4318/v1/traces", sample-ratio: 0.25}
                        attention-worker: {combine-deadline: 150ms}
                        expert-workers: [{name: a, address: "[fe80::1]:2"}]
                        """,
                        FILE);
        assertEquals(file, ClusterFile.parse(file.toYaml(), FILE));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "colour: red | colour | unknown key",
                "coordinator: {port: 1} | coordinator.port | unknown key",
                "coordinator: {max-step-rows: 0} | coordinator | max-step-rows must be from 1 to"
                        + " 65536: 0",
                "coordinator: {max-step-rows: many} | coordinator.max-step-rows | many",
                "coordinator: {max-step-rows: 1.5} | coordinator.max-step-rows | 1.5",
                "coordinator: {request-timeout: 5} | coordinator.request-timeout | not a duration:"
                        + " '5'",
                "coordinator: {request-timeout: 0s} | coordinator | request-timeout must be above"
                        + " 0",
                "coordinator: {listen: here} | coordinator.listen | not an address: 'here'",
                "coordinator: {listen: 'h:x'} | coordinator.listen | not a port: 'x'",
                "coordinator: {listen: 'h:70000'} | coordinator.listen | port must be from 0 to"
                        + " 65535: 70000",
                "attention-worker: {failure-deadline: 100ms} | attention-worker | at least 200ms:"
                        + " 100ms",
                "pack-cache-bytes: 0 | | pack-cache-bytes must be positive: 0",
                "coordinator: {tls: {key: k.pem}} | coordinator.tls | a certificate and a key",
                "coordinator: {cors-origins: ['*']} | coordinator | https://host or"
                        + " http://host:port: *",
                "coordinator: {cors-origins: ['https://a/']} | coordinator | https://a/",
                "coordinator: {traces: {}} | coordinator.traces | traces need an endpoint",
                "coordinator: {traces: {endpoint: 'otel:4317'}} | coordinator.traces | http://host",
                "coordinator: {traces: {endpoint: 'http://o', sample-ratio: 2}} |"
                        + " coordinator.traces | sample-ratio must be from 0 to 1: 2.0",
                "expert-format: q4 | | expert-format must be q8 or absent: q4",
                "expert-workers: [{name: a}] | expert-workers[0] | 'a' needs an address",
                "expert-workers: [{address: 'h:1'}] | expert-workers[0] | needs a name",
                "security: {} | security | security needs ca, certificate and key",
                "security: {ca: a, key: b} | security | security needs ca, certificate and key",
                "security: {ca: a, insecure: true} | security | and none of them",
                "security: {insecure: false} | security | security needs ca",
                "security: {ca: a, certificate: b, key: c, cert: d} | security.cert | unknown key",
                "cluster-id: [1 | | cluster.yaml:1",
                "cluster-id: a\\ncluster-id: b | | cluster-id",
            })
    void badFileNamesFieldAndValue(String yaml, String field, String problem) {
        String message =
                assertThrows(
                                ConfigFileException.class,
                                () -> ClusterFile.parse(yaml.replace("\\n", "\n"), FILE))
                        .getMessage();
        assertTrue(message.startsWith("cluster.yaml"), message);
        assertTrue(field == null || message.contains(field + ": "), message);
        assertTrue(message.contains(problem), message);
    }

    @Test
    void onlyTheLoopbackInterfaceIsLoopback() {
        for (String host : List.of("localhost", "LocalHost", "127.0.0.1", "127.9.9.9", "::1")) {
            assertTrue(new HostPort(host, 1).isLoopback(), host);
        }
        for (String host :
                List.of("0.0.0.0", "::", "10.0.0.1", "localhost.example.org", "w1", "fe80::1")) {
            assertFalse(new HostPort(host, 1).isLoopback(), host);
        }
    }

    @Test
    void twoWorkersOfOneNameAreRefused() {
        assertThrows(
                ConfigFileException.class,
                () ->
                        ClusterFile.parse(
                                "expert-workers: [{name: a, address: 'h:1'}, {name: a, address:"
                                        + " 'h:2'}]",
                                FILE));
    }

    @Test
    void unknownWorkerNameListsTheKnownOnes() throws ConfigFileException {
        ClusterFile file = ClusterFile.parse("expert-workers: [{name: a, address: 'h:1'}]", FILE);
        assertEquals(
                "no expert worker is named 'b', the file has [a]",
                assertThrows(IllegalArgumentException.class, () -> file.expertWorker("b"))
                        .getMessage());
    }

    @Test
    void absentEmptyAndHugeFilesAreRefused(@TempDir Path directory) throws Exception {
        Path absent = directory.resolve("absent.yaml");
        Path empty = Files.createFile(directory.resolve("empty.yaml"));
        Path huge = Files.write(directory.resolve("huge.yaml"), new byte[(1 << 20) + 1]);
        for (Path file : List.of(absent, empty, huge)) {
            String message =
                    assertThrows(ConfigFileException.class, () -> ClusterFile.read(file))
                            .getMessage();
            assertTrue(message.startsWith(file.toString()), message);
        }
    }
}

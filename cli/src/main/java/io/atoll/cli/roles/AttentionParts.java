package io.atoll.cli.roles;

import io.atoll.attention.moe.RemoteExperts;
import io.atoll.attention.moe.RemoteExpertsSettings;
import io.atoll.attention.moe.RoutedExperts;
import io.atoll.attention.moe.RoutedModel;
import io.atoll.attention.moe.WorkerAddress;
import io.atoll.attention.state.CheckpointDisk;
import io.atoll.attention.state.SequenceStates;
import io.atoll.attention.step.AttentionSettings;
import io.atoll.attention.step.LocalAttentionWorker;
import io.atoll.attention.step.Speculation;
import io.atoll.attention.step.Speculation.DrafterKind;
import io.atoll.cluster.config.ClusterFile;
import io.atoll.cluster.config.ClusterFile.AttentionSection;
import io.atoll.expert.ExpertWorker;
import io.atoll.kernels.ComputePool;
import io.atoll.kernels.KernelLibrary;
import io.atoll.kernels.Kernels;
import io.atoll.kernels.KvFormat;
import io.atoll.kernels.WeightFormat;
import io.atoll.model.ModelDirectory;
import io.atoll.model.config.TextConfig;
import io.atoll.model.grammar.ConstraintCache;
import io.atoll.model.weights.WeightPacking;
import io.atoll.proto.wire.RowFormat;
import io.grpc.ChannelCredentials;
import io.grpc.InsecureChannelCredentials;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;

/// An attention worker in this process and everything it stands on. Closing it closes all of that, in reverse order.
public final class AttentionParts implements AutoCloseable {
    private static final int DEFAULT_KV_TOKENS = 65_536;

    /// Choosing one to give up looks at all of them.
    private static final int MAX_CHECKPOINTS = 4096;

    private final OpenedParts opened = new OpenedParts();
    private final LocalAttentionWorker worker;

    private AttentionParts(
            ModelDirectory model,
            int vocabularySize,
            Optional<ConstraintCache> constraints,
            ClusterFile file,
            Optional<String> kernelLabel,
            boolean local,
            JoinedCluster cluster,
            ChannelCredentials credentials,
            UnaryOperator<RoutedExperts> around) {
        try {
            AttentionSection section = file.attentionWorker();
            Kernels kernels = KernelLibrary.select(kernelLabel);
            ComputePool pool =
                    opened.add(new ComputePool(ClusterOptions.threads(section.threads())));
            String modelDigest = model.modelDigest();
            ModelDirectory weights =
                    CachedPack.dense(model, file, local)
                            .map(opened::add)
                            .map(CachedPack::model)
                            .orElse(model);
            RoutedExperts held =
                    opened.add(
                            local
                                    ? LocalExperts.load(
                                            weights,
                                            file.expertFormat().map(_ -> WeightFormat.Q8),
                                            kernels,
                                            pool)
                                    : remoteExperts(
                                            model,
                                            modelDigest,
                                            file,
                                            cluster,
                                            kernels,
                                            credentials));
            RoutedExperts experts = around.apply(held);
            worker =
                    opened.add(
                            new LocalAttentionWorker(
                                    weights.textWeights(),
                                    modelDigest,
                                    vocabularySize,
                                    constraints,
                                    experts,
                                    kernels,
                                    pool,
                                    settings(
                                            model.config().text(),
                                            section,
                                            file.coordinator().maxStepRows(),
                                            kernelLabel,
                                            file.expertFormat(),
                                            speculation(model, section))));
        } catch (RuntimeException | Error e) {
            close();
            throw e;
        }
    }

    /// With every expert in this process.
    ///
    /// @param vocabularySize tokens of the model's tokenizer
    /// @param constraints over its vocabulary
    static AttentionParts withLocalExperts(
            ModelDirectory model,
            int vocabularySize,
            ConstraintCache constraints,
            ClusterFile file,
            Optional<String> kernels) {
        return new AttentionParts(
                model,
                vocabularySize,
                Optional.of(constraints),
                file,
                kernels,
                true,
                JoinedCluster.alone(file),
                InsecureChannelCredentials.create(), // there is nobody to call
                UnaryOperator.identity());
    }

    /// With the expert workers of the cluster.
    ///
    /// @param vocabularySize tokens of the model's tokenizer
    /// @param constraints over its vocabulary
    /// @param cluster knows which workers join and leave
    /// @param credentials of this node, and how it checks the workers'
    static AttentionParts withRemoteExperts(
            ModelDirectory model,
            int vocabularySize,
            ConstraintCache constraints,
            ClusterFile file,
            JoinedCluster cluster,
            Optional<String> kernels,
            ChannelCredentials credentials) {
        return new AttentionParts(
                model,
                vocabularySize,
                Optional.of(constraints),
                file,
                kernels,
                false,
                cluster,
                credentials,
                UnaryOperator.identity());
    }

    /// With the expert workers of the cluster file, which are on this machine, or every expert in this process if it names none.
    ///
    /// @param vocabularySize tokens of the model's tokenizer
    /// @param around puts something between the attention worker and the experts, which are closed here
    public static AttentionParts watched(
            ModelDirectory model,
            int vocabularySize,
            ClusterFile file,
            Optional<String> kernels,
            UnaryOperator<RoutedExperts> around) {
        return new AttentionParts(
                model,
                vocabularySize,
                Optional.empty(),
                file,
                kernels,
                file.expertWorkers().isEmpty(),
                JoinedCluster.alone(file),
                InsecureChannelCredentials.create(),
                around);
    }

    public LocalAttentionWorker worker() {
        return worker;
    }

    private static RoutedExperts remoteExperts(
            ModelDirectory model,
            String modelDigest,
            ClusterFile file,
            JoinedCluster cluster,
            Kernels kernels,
            ChannelCredentials credentials) {
        RemoteExperts experts =
                remoteExperts(model, modelDigest, file, addresses(cluster), kernels, credentials);
        cluster.onChange(() -> experts.setWorkers(addresses(cluster)));
        experts.setWorkers(addresses(cluster)); // what has changed between
        return experts;
    }

    private static List<WorkerAddress> addresses(JoinedCluster cluster) {
        List<WorkerAddress> addresses = new ArrayList<>();
        cluster.allExpertWorkers()
                .forEach(
                        (name, at) -> addresses.add(new WorkerAddress(name, at.host(), at.port())));
        return addresses;
    }

    private static RemoteExperts remoteExperts(
            ModelDirectory model,
            String modelDigest,
            ClusterFile file,
            List<WorkerAddress> workers,
            Kernels kernels,
            ChannelCredentials credentials) {
        TextConfig text = model.config().text();
        return new RemoteExperts(
                new RemoteExpertsSettings(
                        "attention-worker",
                        file.clusterId(),
                        0,
                        workers,
                        file.attentionWorker().failureDeadline(),
                        file.attentionWorker().reconnectGrace(),
                        RemoteExpertsSettings.DEFAULT_MIN_BACKOFF,
                        RemoteExpertsSettings.DEFAULT_MAX_BACKOFF,
                        RemoteExpertsSettings.defaultSpin(),
                        RemoteExpertsSettings.DEFAULT_MESSAGE_BYTES,
                        credentials),
                new RoutedModel(
                        modelDigest,
                        WeightPacking.routedLayers(model.textWeights()),
                        text.experts(),
                        text.hiddenSize(),
                        file.expertFormat().equals(Optional.of("q8"))
                                ? RowFormat.Q8
                                : ExpertRows.format(model),
                        ExpertWorker.FRACTION_BITS),
                kernels);
    }

    /// As many checkpoints as the memory for them holds; one that is not 0 holds one at least.
    private static int checkpoints(TextConfig text, AttentionSection section) {
        long bytes = (long) section.prefixCacheMegabytes() << 20;
        long checkpoints = bytes / Math.max(1, SequenceStates.recurrentBytes(text));
        return bytes == 0 ? 0 : Math.clamp(checkpoints, 1, MAX_CHECKPOINTS);
    }

    /// Settings of 0 in the file stand for what suits the model.
    private static AttentionSettings settings(
            TextConfig text,
            AttentionSection section,
            int maxStepRows,
            Optional<String> kernels,
            Optional<String> expertFormat,
            Speculation speculation) {
        int longest =
                section.maxSequenceTokens() == 0
                        ? text.contextLength()
                        : Math.min(section.maxSequenceTokens(), text.contextLength());
        long kvTokens =
                section.kvTokens() == 0
                        ? Math.max(longest, Math.min(DEFAULT_KV_TOKENS, 8L * longest))
                        : section.kvTokens();
        return new AttentionSettings(
                maxStepRows,
                section.maxSequences(),
                checkpoints(text, section),
                longest,
                kvTokens,
                kvFormat(section.kvFormat()),
                ClusterOptions.threads(section.threads()),
                kernels,
                section.combineDeadline(),
                section.checkpointDirectory()
                        .map(
                                directory ->
                                        new CheckpointDisk(
                                                directory,
                                                section.checkpointDirectoryBytes(),
                                                expertFormat.orElse(""))),
                speculation);
    }

    /// As the file says, as far as the model allows.
    private static Speculation speculation(ModelDirectory model, AttentionSection section) {
        DrafterKind drafter =
                switch (section.speculation().drafter()) {
                    case "mtp" ->
                            WeightPacking.predicts(model.textWeights())
                                    ? DrafterKind.MTP
                                    : DrafterKind.OFF;
                    case "ngram" -> DrafterKind.NGRAM;
                    case "off" -> DrafterKind.OFF;
                    default ->
                            throw new IllegalArgumentException(
                                    "drafter: " + section.speculation().drafter());
                };
        return new Speculation(drafter, section.speculation().maxDrafts());
    }

    private static KvFormat kvFormat(String name) {
        return switch (name) {
            case "bf16" -> KvFormat.BF16;
            case "f32" -> KvFormat.F32;
            default -> throw new IllegalArgumentException("kv-format: " + name);
        };
    }

    @Override
    public void close() {
        opened.close();
    }
}

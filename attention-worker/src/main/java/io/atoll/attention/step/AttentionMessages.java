package io.atoll.attention.step;

import io.atoll.proto.ErrorCode;
import io.atoll.proto.Failure;
import io.atoll.proto.v1.AttentionFailure;
import io.atoll.proto.v1.AttentionInfo;
import io.atoll.proto.v1.DraftedTokens;
import io.atoll.proto.v1.ExpertWorkerState;
import io.atoll.proto.v1.ExpertWorkers;
import io.atoll.proto.v1.LikelyToken;
import io.atoll.proto.v1.OpenSequence;
import io.atoll.proto.v1.SampledToken;
import io.atoll.proto.v1.Sampling;
import io.atoll.proto.v1.ScoredToken;
import io.atoll.proto.v1.StepReply;
import io.atoll.proto.v1.StepRequest;
import io.atoll.proto.v1.StepRows;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// Between the records of this package and the messages of `attention.proto`. What a peer sends goes through the records'
/// own checks, which throw [IllegalArgumentException].
final class AttentionMessages {
    static final int WIRE_VERSION = 1;

    /// An opening with a million tokens takes half of this.
    static final int MAX_MESSAGE_BYTES = 8 << 20;

    private AttentionMessages() {}

    static OpenSequence open(long sequenceId, SequenceOptions options, int[] tokens) {
        SamplingParameters sampling = options.sampling();
        OpenSequence.Builder open = OpenSequence.newBuilder();
        options.constraint().map(ConstraintMessages::message).ifPresent(open::setConstraint);
        return open.setSequenceId(sequenceId)
                .setPromptTokens(options.promptTokens())
                .setMaxTokens(options.maxTokens())
                .setSampling(
                        Sampling.newBuilder()
                                .setTemperature(sampling.temperature())
                                .setTopK(sampling.topK())
                                .setTopP(sampling.topP())
                                .setMinP(sampling.minP())
                                .setPresencePenalty(sampling.presencePenalty())
                                .setFrequencyPenalty(sampling.frequencyPenalty())
                                .setRepetitionPenalty(sampling.repetitionPenalty())
                                .setSeed(sampling.seed())
                                .putAllLogitBias(sampling.logitBias()))
                .setTopLogprobs(options.topLogprobs())
                .setPromptLogprobs(options.promptLogprobs())
                .addAllTokens(list(tokens))
                .build();
    }

    static int[] tokens(OpenSequence open) {
        return array(open.getTokensList());
    }

    private static List<Integer> list(int[] tokens) {
        return Arrays.stream(tokens).boxed().toList();
    }

    private static int[] array(List<Integer> tokens) {
        return tokens.stream().mapToInt(Integer::intValue).toArray();
    }

    static SequenceOptions options(OpenSequence open) {
        Sampling sampling = open.getSampling();
        return new SequenceOptions(
                open.getPromptTokens(),
                open.getMaxTokens(),
                new SamplingParameters(
                        sampling.getTemperature(),
                        sampling.getTopK(),
                        sampling.getTopP(),
                        sampling.getMinP(),
                        sampling.getPresencePenalty(),
                        sampling.getFrequencyPenalty(),
                        sampling.getRepetitionPenalty(),
                        sampling.getSeed(),
                        sampling.getLogitBiasMap()),
                open.getTopLogprobs(),
                open.hasConstraint()
                        ? Optional.of(ConstraintMessages.constraint(open.getConstraint()))
                        : Optional.empty(),
                open.getPromptLogprobs());
    }

    static StepRequest step(StepPlan plan) {
        StepRequest.Builder request =
                StepRequest.newBuilder()
                        .setStepId(plan.stepId())
                        .setTimeoutNanos(plan.timeout().toNanos());
        for (StepPlan.SequenceRows rows : plan.sequences()) {
            request.addSequences(
                    StepRows.newBuilder()
                            .setSequenceId(rows.sequenceId())
                            .setFirstPosition(rows.firstPosition())
                            .addAllTokens(list(rows.tokens()))
                            .setSample(rows.sample())
                            .setCheckpoint(rows.checkpoint())
                            .setDrafts(rows.drafts()));
        }
        return request.build();
    }

    static StepPlan plan(StepRequest request) {
        return new StepPlan(
                request.getStepId(),
                request.getSequencesList().stream()
                        .map(
                                rows ->
                                        new StepPlan.SequenceRows(
                                                rows.getSequenceId(),
                                                rows.getFirstPosition(),
                                                array(rows.getTokensList()),
                                                rows.getSample(),
                                                rows.getCheckpoint(),
                                                rows.getDrafts()))
                        .toList(),
                Duration.ofNanos(request.getTimeoutNanos()));
    }

    static StepReply reply(StepOutcome.Completed completed) {
        StepReply.Builder reply = StepReply.newBuilder();
        completed
                .failed()
                .forEach(
                        (id, failure) ->
                                reply.addSampled(
                                        SampledToken.newBuilder()
                                                .setSequenceId(id)
                                                .setFailure(failure(failure))));
        for (StepOutcome.Sampled token : completed.sampled()) {
            reply.addSampled(
                    SampledToken.newBuilder()
                            .setSequenceId(token.sequenceId())
                            .setToken(token.token())
                            .setLogprob(token.logprob())
                            .addAllTop(
                                    token.top().stream().map(AttentionMessages::likely).toList()));
        }
        for (StepOutcome.Scored token : completed.scored()) {
            reply.addScored(
                    ScoredToken.newBuilder()
                            .setSequenceId(token.sequenceId())
                            .setPosition(token.position())
                            .setToken(token.token())
                            .setLogprob(token.logprob())
                            .addAllTop(
                                    token.top().stream().map(AttentionMessages::likely).toList()));
        }
        completed
                .drafted()
                .forEach(
                        (id, count) ->
                                reply.addDrafted(
                                        DraftedTokens.newBuilder()
                                                .setSequenceId(id)
                                                .setCount(count)));
        return reply.build();
    }

    static StepOutcome.Completed completed(StepReply reply) {
        List<StepOutcome.Sampled> sampled = new ArrayList<>(reply.getSampledCount());
        Map<Long, Failure> failed = new HashMap<>();
        for (SampledToken token : reply.getSampledList()) {
            if (token.hasFailure()) {
                failed.put(token.getSequenceId(), failure(token.getFailure()));
            } else {
                sampled.add(
                        new StepOutcome.Sampled(
                                token.getSequenceId(),
                                token.getToken(),
                                token.getLogprob(),
                                likely(token.getTopList())));
            }
        }
        List<StepOutcome.Scored> scored = new ArrayList<>(reply.getScoredCount());
        for (ScoredToken token : reply.getScoredList()) {
            scored.add(
                    new StepOutcome.Scored(
                            token.getSequenceId(),
                            token.getPosition(),
                            token.getToken(),
                            token.getLogprob(),
                            likely(token.getTopList())));
        }
        Map<Long, Integer> drafted = new HashMap<>();
        reply.getDraftedList().forEach(each -> drafted.put(each.getSequenceId(), each.getCount()));
        return new StepOutcome.Completed(sampled, failed, scored, drafted);
    }

    private static List<TokenLogprob> likely(List<LikelyToken> top) {
        return top.stream().map(AttentionMessages::likely).toList();
    }

    private static LikelyToken likely(TokenLogprob token) {
        return LikelyToken.newBuilder().setToken(token.token()).setLogprob(token.logprob()).build();
    }

    private static TokenLogprob likely(LikelyToken token) {
        return new TokenLogprob(token.getToken(), token.getLogprob());
    }

    static ExpertWorkers expertWorkers(List<ExpertWorkerStatus> workers) {
        ExpertWorkers.Builder list = ExpertWorkers.newBuilder();
        for (ExpertWorkerStatus worker : workers) {
            list.addWorkers(
                    ExpertWorkerState.newBuilder()
                            .setName(worker.name())
                            .setAddress(worker.address())
                            .setLive(worker.live())
                            .setExperts(worker.experts())
                            .setDispatches(worker.dispatches())
                            .setRows(worker.rows())
                            .setBytesSent(worker.bytesSent())
                            .setBytesReceived(worker.bytesReceived())
                            .setComputeNanos(worker.computeNanos())
                            .setRoundTripNanos(worker.roundTripNanos())
                            .setFailures(worker.failures()));
        }
        return list.build();
    }

    static List<ExpertWorkerStatus> expertWorkers(ExpertWorkers list) {
        return list.getWorkersList().stream()
                .map(
                        worker ->
                                new ExpertWorkerStatus(
                                        worker.getName(),
                                        worker.getAddress(),
                                        worker.getLive(),
                                        worker.getExperts(),
                                        worker.getDispatches(),
                                        worker.getRows(),
                                        worker.getBytesSent(),
                                        worker.getBytesReceived(),
                                        worker.getComputeNanos(),
                                        worker.getRoundTripNanos(),
                                        worker.getFailures()))
                .toList();
    }

    static AttentionInfo info(AttentionWorkerInfo info) {
        return AttentionInfo.newBuilder()
                .setModelDigest(info.modelDigest())
                .setArithmetic(info.arithmetic())
                .setKernels(info.kernels())
                .setVocabularySize(info.vocabularySize())
                .setMaxSequenceTokens(info.maxSequenceTokens())
                .setMaxSequences(info.maxSequences())
                .setMaxStepRows(info.maxStepRows())
                .setMaxDrafts(info.maxDrafts())
                .build();
    }

    static AttentionWorkerInfo info(AttentionInfo info) {
        return new AttentionWorkerInfo(
                info.getModelDigest(),
                info.getArithmetic(),
                info.getKernels(),
                info.getVocabularySize(),
                info.getMaxSequenceTokens(),
                info.getMaxSequences(),
                info.getMaxStepRows(),
                info.getMaxDrafts());
    }

    static io.atoll.proto.v1.AttentionLoad load(AttentionLoad load) {
        AttentionLoad.StepTimes times = load.stepTimes();
        return io.atoll.proto.v1.AttentionLoad.newBuilder()
                .setKvBlocks(load.kvBlocks())
                .setSequenceKvBlocks(load.sequenceKvBlocks())
                .setFreeKvBlocks(load.freeKvBlocks())
                .setSequences(load.sequences())
                .setCheckpoints(load.checkpoints())
                .setCheckpointHits(load.checkpointHits())
                .setCheckpointEvictions(load.checkpointEvictions())
                .setStoredCheckpoints(load.storedCheckpoints())
                .setCheckpointLoads(load.checkpointLoads())
                .setMixerNanos(times.mixer())
                .setSharedNanos(times.shared())
                .setExpertsNanos(times.experts())
                .setHeadNanos(times.head())
                .setSamplingNanos(times.sampling())
                .build();
    }

    static AttentionLoad load(io.atoll.proto.v1.AttentionLoad load) {
        return new AttentionLoad(
                load.getKvBlocks(),
                load.getSequenceKvBlocks(),
                load.getFreeKvBlocks(),
                load.getSequences(),
                load.getCheckpoints(),
                load.getCheckpointHits(),
                load.getCheckpointEvictions(),
                load.getStoredCheckpoints(),
                load.getCheckpointLoads(),
                new AttentionLoad.StepTimes(
                        load.getMixerNanos(),
                        load.getSharedNanos(),
                        load.getExpertsNanos(),
                        load.getHeadNanos(),
                        load.getSamplingNanos()));
    }

    static AttentionFailure failure(Failure failure) {
        return AttentionFailure.newBuilder()
                .setCode(failure.code().name())
                .setMessage(failure.message())
                .build();
    }

    /// A code that this version does not know becomes `INTERNAL`.
    static Failure failure(AttentionFailure failure) {
        for (ErrorCode code : ErrorCode.values()) {
            if (code.name().equals(failure.getCode())) {
                return new Failure(code, failure.getMessage());
            }
        }
        return new Failure(ErrorCode.INTERNAL, failure.getCode() + ": " + failure.getMessage());
    }
}

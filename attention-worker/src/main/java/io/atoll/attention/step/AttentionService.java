package io.atoll.attention.step;

import io.atoll.attention.step.StepOutcome.Sampled;
import io.atoll.attention.step.StepOutcome.Scored;
import io.atoll.attention.step.StepPlan.SequenceRows;
import io.atoll.proto.ErrorCode;
import io.atoll.proto.Failure;
import io.atoll.proto.v1.AttentionDone;
import io.atoll.proto.v1.AttentionGrpc;
import io.atoll.proto.v1.AttentionHello;
import io.atoll.proto.v1.AttentionReply;
import io.atoll.proto.v1.AttentionRequest;
import io.atoll.proto.v1.OpenSequence;
import io.atoll.proto.v1.SequenceOpened;
import io.grpc.Status;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.atomic.AtomicInteger;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// The sessions of an [AttentionServer].
///
/// Network threads only hand over; everything else runs on the one thread of `requests`, so sessions and their sequences need
/// no locks.
final class AttentionService extends AttentionGrpc.AttentionImplBase {
    private static final Logger LOG = LoggerFactory.getLogger(AttentionService.class);

    private final AttentionWorker worker;
    private final String clusterId;
    private final ExecutorService requests;
    private final int maxSessions;
    private final AtomicInteger openSessions = new AtomicInteger();

    /// Sequence ids on the worker. Coordinators choose their own, so two sessions may use the same.
    private long nextWorkerSequence;

    AttentionService(
            AttentionWorker worker, String clusterId, ExecutorService requests, int maxSessions) {
        this.worker = worker;
        this.clusterId = clusterId;
        this.requests = requests;
        this.maxSessions = maxSessions;
    }

    @Override
    public StreamObserver<AttentionRequest> session(StreamObserver<AttentionReply> replies) {
        ServerCallStreamObserver<AttentionReply> stream =
                (ServerCallStreamObserver<AttentionReply>) replies;
        Session session = new Session(stream);
        stream.setOnCancelHandler(session::end);
        if (openSessions.incrementAndGet() > maxSessions) {
            openSessions.decrementAndGet();
            session.refused = true;
            stream.onError(
                    Status.RESOURCE_EXHAUSTED
                            .withDescription("at most " + maxSessions + " sessions at once")
                            .asRuntimeException());
        } else {
            stream.disableAutoRequest();
            stream.request(1);
        }
        return session;
    }

    private final class Session implements StreamObserver<AttentionRequest> {
        private final ServerCallStreamObserver<AttentionReply> replies;
        private final Map<Long, Long> workerSequences = new HashMap<>();
        private boolean refused; // never counted, never carried out
        private String sender = "";
        private boolean greeted;
        private boolean ended;

        Session(ServerCallStreamObserver<AttentionReply> replies) {
            this.replies = replies;
        }

        @Override
        public void onNext(AttentionRequest request) {
            long arrivedNanos = System.nanoTime();
            handOver(() -> carryOut(request, arrivedNanos));
        }

        @Override
        public void onError(Throwable error) {
            end();
        }

        @Override
        public void onCompleted() {
            handOver(
                    () -> {
                        if (!ended) {
                            free("the coordinator has left");
                            replies.onCompleted();
                        }
                    });
        }

        private void end() {
            handOver(() -> free("the stream broke"));
        }

        private void handOver(Runnable work) {
            if (refused) {
                return;
            }
            try {
                requests.execute(work);
            } catch (RejectedExecutionException e) {
                LOG.debug("session of {} ends with the server", sender, e);
            }
        }

        private void free(String why) {
            if (ended) {
                return;
            }
            ended = true;
            openSessions.decrementAndGet();
            workerSequences.values().forEach(worker::close);
            LOG.info(
                    "session ended: sender={} reason={} freed={}",
                    sender,
                    why,
                    workerSequences.size());
            workerSequences.clear();
        }

        private void carryOut(AttentionRequest request, long arrivedNanos) {
            if (ended) {
                return;
            }
            Optional<AttentionReply.Builder> reply;
            try {
                reply = answer(request, arrivedNanos);
            } catch (IllegalArgumentException e) {
                reply = failed(ErrorCode.INVALID_REQUEST, String.valueOf(e.getMessage()));
            } catch (RuntimeException e) {
                LOG.error("request failed: sender={} call={}", sender, request.getCall(), e);
                reply = failed(ErrorCode.INTERNAL, "request failed: " + e);
            }
            reply.ifPresent(filled -> send(filled.setCall(request.getCall())));
            if (greeted) {
                replies.request(1);
            } else {
                free("it was refused");
                replies.onCompleted();
            }
        }

        private void send(AttentionReply.Builder reply) {
            if (!reply.hasFailure()) {
                reply.setLoad(AttentionMessages.load(worker.load()));
            }
            replies.onNext(reply.build());
        }

        private Optional<AttentionReply.Builder> answer(
                AttentionRequest request, long arrivedNanos) {
            if (!greeted && !request.hasHello()) {
                return failed(ErrorCode.MALFORMED_MESSAGE, "the first request must be a hello");
            }
            return switch (request.getRequestCase()) {
                case HELLO -> hello(request.getHello());
                case OPEN -> open(request.getOpen());
                case CHECK_OPENING -> opening(request.getCheckOpening().getSequenceId());
                case STEP -> step(AttentionMessages.plan(request.getStep()), arrivedNanos);
                case CLOSE -> {
                    Long sequence = workerSequences.remove(request.getClose().getSequenceId());
                    if (sequence != null) {
                        worker.close(sequence);
                    }
                    yield Optional.empty();
                }
                case CHECK -> doneOr(worker.unavailable());
                case LIST_EXPERT_WORKERS ->
                        Optional.of(
                                AttentionReply.newBuilder()
                                        .setExpertWorkers(
                                                AttentionMessages.expertWorkers(
                                                        worker.expertWorkers())));
                case REQUEST_NOT_SET ->
                        failed(ErrorCode.MALFORMED_MESSAGE, "a request of a kind unknown here");
            };
        }

        private Optional<AttentionReply.Builder> hello(AttentionHello hello) {
            sender = hello.getSender();
            if (hello.getWireVersion() != AttentionMessages.WIRE_VERSION) {
                return failed(
                        ErrorCode.HELLO_MISMATCH,
                        "wire version: coordinator "
                                + sender
                                + "="
                                + hello.getWireVersion()
                                + " attention worker="
                                + AttentionMessages.WIRE_VERSION);
            }
            if (!hello.getClusterId().equals(clusterId)) {
                return failed(
                        ErrorCode.HELLO_MISMATCH,
                        "cluster: coordinator "
                                + sender
                                + "="
                                + hello.getClusterId()
                                + " attention worker="
                                + clusterId);
            }
            greeted = true;
            LOG.info("session began: sender={}", sender);
            return Optional.of(
                    AttentionReply.newBuilder().setInfo(AttentionMessages.info(worker.info())));
        }

        private Optional<AttentionReply.Builder> open(OpenSequence open) {
            SequenceOptions options = AttentionMessages.options(open);
            if (workerSequences.containsKey(open.getSequenceId())) {
                return failed(
                        ErrorCode.INVALID_REQUEST,
                        "sequence is open already: id=" + open.getSequenceId());
            }
            long sequence = nextWorkerSequence++;
            Opening opening = worker.open(sequence, options, AttentionMessages.tokens(open));
            if (!(opening instanceof Opening.Refused)) {
                workerSequences.put(open.getSequenceId(), sequence);
            }
            return reply(opening);
        }

        private Optional<AttentionReply.Builder> opening(long sequenceId) {
            Long sequence = workerSequences.get(sequenceId);
            return sequence == null
                    ? failed(ErrorCode.SEQUENCE_LOST, "unknown sequence: id=" + sequenceId)
                    : reply(worker.opening(sequence));
        }

        private static Optional<AttentionReply.Builder> reply(Opening opening) {
            return switch (opening) {
                case Opening.Opened(int cachedTokens) ->
                        opened(SequenceOpened.newBuilder().setCachedTokens(cachedTokens));
                case Opening.Loading() -> opened(SequenceOpened.newBuilder().setLoading(true));
                case Opening.Refused(var failure) -> failed(failure.code(), failure.message());
            };
        }

        private static Optional<AttentionReply.Builder> opened(SequenceOpened.Builder opened) {
            return Optional.of(AttentionReply.newBuilder().setOpened(opened));
        }

        private Optional<AttentionReply.Builder> step(StepPlan plan, long arrivedNanos) {
            // Another session's step may have been in the way.
            Duration left = plan.timeout().minusNanos(System.nanoTime() - arrivedNanos);
            if (!left.isPositive()) {
                return failed(
                        ErrorCode.DEADLINE_EXCEEDED,
                        "the step's time was over before it began: step=" + plan.stepId());
            }
            List<SequenceRows> translated = new ArrayList<>(plan.sequences().size());
            Map<Long, Long> sessionSequences = new HashMap<>();
            for (SequenceRows rows : plan.sequences()) {
                long id = rows.sequenceId();
                Long sequence = workerSequences.get(id);
                if (sequence == null) {
                    return failed(
                            ErrorCode.SEQUENCE_LOST,
                            "unknown sequence: step=" + plan.stepId() + " sequence=" + id);
                }
                sessionSequences.put(sequence, id);
                translated.add(
                        new SequenceRows(
                                sequence,
                                rows.firstPosition(),
                                rows.tokens(),
                                rows.sample(),
                                rows.checkpoint(),
                                rows.drafts()));
            }
            return switch (worker.step(new StepPlan(plan.stepId(), translated, left))) {
                case StepOutcome.Failed(var failure) -> failed(failure.code(), failure.message());
                case StepOutcome.Completed(var sampled, var failed, var scored, var drafted) -> {
                    List<Sampled> ours = new ArrayList<>(sampled.size());
                    for (Sampled token : sampled) {
                        long id = sessionSequences.get(token.sequenceId());
                        ours.add(new Sampled(id, token.token(), token.logprob(), token.top()));
                    }
                    Map<Long, Failure> ourFailed = new HashMap<>();
                    failed.forEach(
                            (id, failure) -> ourFailed.put(sessionSequences.get(id), failure));
                    List<Scored> ourScored = new ArrayList<>(scored.size());
                    for (Scored token : scored) {
                        ourScored.add(
                                new Scored(
                                        sessionSequences.get(token.sequenceId()),
                                        token.position(),
                                        token.token(),
                                        token.logprob(),
                                        token.top()));
                    }
                    Map<Long, Integer> ourDrafted = new HashMap<>();
                    drafted.forEach((id, count) -> ourDrafted.put(sessionSequences.get(id), count));
                    StepOutcome.Completed completed =
                            new StepOutcome.Completed(ours, ourFailed, ourScored, ourDrafted);
                    yield Optional.of(
                            AttentionReply.newBuilder()
                                    .setStep(AttentionMessages.reply(completed)));
                }
            };
        }
    }

    private static Optional<AttentionReply.Builder> doneOr(Optional<Failure> failure) {
        return failure.isPresent()
                ? failed(failure.get().code(), failure.get().message())
                : Optional.of(
                        AttentionReply.newBuilder().setDone(AttentionDone.getDefaultInstance()));
    }

    private static Optional<AttentionReply.Builder> failed(ErrorCode code, String message) {
        return Optional.of(
                AttentionReply.newBuilder()
                        .setFailure(AttentionMessages.failure(new Failure(code, message))));
    }
}

package io.atoll.attention.step;

import io.atoll.proto.ErrorCode;
import io.atoll.proto.Failure;
import io.atoll.proto.v1.AttentionGrpc;
import io.atoll.proto.v1.AttentionHello;
import io.atoll.proto.v1.AttentionReply;
import io.atoll.proto.v1.AttentionReply.ReplyCase;
import io.atoll.proto.v1.AttentionRequest;
import io.atoll.proto.v1.CheckAttention;
import io.atoll.proto.v1.CheckOpening;
import io.atoll.proto.v1.CloseSequence;
import io.atoll.proto.v1.ListExpertWorkers;
import io.atoll.proto.wire.StatusText;
import io.grpc.ChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.netty.NettyChannelBuilder;
import io.grpc.stub.ClientCallStreamObserver;
import io.grpc.stub.ClientResponseObserver;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// An attention worker in another process, over one gRPC stream.
///
/// The worker frees a session's sequences when its stream ends. So when the stream breaks, or an answer does not come in
/// time, every open sequence is lost: the step in progress fails with `ATTENTION_UNAVAILABLE`, and later steps of those
/// sequences with `SEQUENCE_LOST`. Opening a sequence, or asking whether the worker is available, connects anew.
///
/// No call waits longer than its timeout and a little more for the network.
public final class RemoteAttentionWorker implements AttentionWorker {
    private static final Logger LOG = LoggerFactory.getLogger(RemoteAttentionWorker.class);

    /// How much longer than a step's own timeout its answer may take: the worker notices first, and says why.
    private static final Duration SLACK = Duration.ofSeconds(2);

    private static final long KEEP_ALIVE_SECONDS = 10;
    private static final long KEEP_ALIVE_TIMEOUT_SECONDS = 5;

    private final String host;
    private final int port;
    private final ChannelCredentials credentials;
    private final String target;
    private final String clusterId;
    private final String sender;
    private final Duration callTimeout;
    private final AttentionWorkerInfo info;

    /// Fair: the step loop takes it again at once, and whoever asks for the expert workers would wait for long.
    private final ReentrantLock callers = new ReentrantLock(true);

    private volatile Optional<Link> link = Optional.empty();
    private long nextCall;
    private volatile boolean closed;
    private volatile AttentionLoad load = AttentionLoad.NONE;

    /// Connects and learns what the worker serves.
    ///
    /// @param credentials of this node, and how it checks the worker's
    /// @param sender who this is, for the worker's log
    /// @param callTimeout longest wait for a connection and for answers to anything but a step
    /// @throws IOException if the worker cannot be reached or refuses the hello
    public RemoteAttentionWorker(
            String host,
            int port,
            ChannelCredentials credentials,
            String clusterId,
            String sender,
            Duration callTimeout)
            throws IOException {
        this.host = host;
        this.port = port;
        this.credentials = credentials;
        target = host + ":" + port;
        this.clusterId = clusterId;
        this.sender = sender;
        this.callTimeout = callTimeout;
        Link first = new Link();
        switch (greet(first)) {
            case Answer.Reply(var reply) -> {
                info = AttentionMessages.info(reply.getInfo());
                link = Optional.of(first);
            }
            case Answer.Broken(var failure) -> {
                throw new IOException(failure.toString());
            }
        }
    }

    @Override
    public AttentionWorkerInfo info() {
        return info;
    }

    @Override
    public Opening open(long sequenceId, SequenceOptions options, int[] tokens) {
        callers.lock();
        try {
            Optional<Failure> failure = connect();
            if (failure.isPresent()) {
                return new Opening.Refused(failure.get());
            }
            Answer answer =
                    call(
                            AttentionRequest.newBuilder()
                                    .setOpen(AttentionMessages.open(sequenceId, options, tokens)),
                            ReplyCase.OPENED,
                            callTimeout);
            return opening(answer, tokens.length);
        } finally {
            callers.unlock();
        }
    }

    @Override
    public Opening opening(long sequenceId) {
        callers.lock();
        try {
            CheckOpening check = CheckOpening.newBuilder().setSequenceId(sequenceId).build();
            Answer answer =
                    call(
                            AttentionRequest.newBuilder().setCheckOpening(check),
                            ReplyCase.OPENED,
                            callTimeout);
            return opening(answer, info.maxSequenceTokens());
        } finally {
            callers.unlock();
        }
    }

    /// @param known tokens that the worker was told of
    private Opening opening(Answer answer, int known) {
        return switch (answer) {
            case Answer.Broken(var broken) -> new Opening.Refused(broken);
            case Answer.Reply(var reply) when reply.getOpened().getLoading() ->
                    new Opening.Loading();
            case Answer.Reply(var reply) -> opened(reply.getOpened().getCachedTokens(), known);
        };
    }

    @Override
    public StepOutcome step(StepPlan plan) {
        callers.lock();
        try {
            // No new connection: the sequences of the plan were lost with the old one.
            Answer answer =
                    call(
                            AttentionRequest.newBuilder().setStep(AttentionMessages.step(plan)),
                            ReplyCase.STEP,
                            plan.timeout().plus(SLACK));
            return switch (answer) {
                case Answer.Broken(var failure) -> new StepOutcome.Failed(failure);
                case Answer.Reply(var reply) -> AttentionMessages.completed(reply.getStep());
            };
        } finally {
            callers.unlock();
        }
    }

    @Override
    public void close(long sequenceId) {
        callers.lock();
        try {
            link.ifPresent(
                    open ->
                            open.send(
                                    AttentionRequest.newBuilder()
                                            .setCall(nextCall++)
                                            .setClose(
                                                    CloseSequence.newBuilder()
                                                            .setSequenceId(sequenceId))
                                            .build()));
        } finally {
            callers.unlock();
        }
    }

    /// Asks the worker, unless a step is in progress: then what is known of the connection has to do.
    @Override
    public Optional<Failure> unavailable() {
        if (!callers.tryLock()) {
            return connected() ? Optional.empty() : Optional.of(notConnected());
        }
        try {
            Optional<Failure> failure = connect();
            if (failure.isPresent()) {
                return failure;
            }
            return failureOf(
                    call(
                            AttentionRequest.newBuilder()
                                    .setCheck(CheckAttention.getDefaultInstance()),
                            ReplyCase.DONE,
                            callTimeout));
        } finally {
            callers.unlock();
        }
    }

    /// Waits for a step in progress. Empty if the worker cannot be reached.
    @Override
    public List<ExpertWorkerStatus> expertWorkers() {
        callers.lock();
        try {
            if (connect().isPresent()) {
                return List.of();
            }
            Answer answer =
                    call(
                            AttentionRequest.newBuilder()
                                    .setListExpertWorkers(ListExpertWorkers.getDefaultInstance()),
                            ReplyCase.EXPERT_WORKERS,
                            callTimeout);
            return switch (answer) {
                case Answer.Broken(var failure) -> {
                    LOG.warn("{} does not list its expert workers: {}", target, failure);
                    yield List.of();
                }
                case Answer.Reply(var reply) ->
                        AttentionMessages.expertWorkers(reply.getExpertWorkers());
            };
        } finally {
            callers.unlock();
        }
    }

    /// What the last reply said.
    @Override
    public AttentionLoad load() {
        return load;
    }

    /// Ends the session, and with it every sequence.
    @Override
    public void close() {
        closed = true;
        link.ifPresent(open -> open.cancel("closed"));
        link = Optional.empty();
    }

    /// Makes sure that there is a session.
    private Optional<Failure> connect() {
        if (closed) {
            return Optional.of(
                    new Failure(ErrorCode.ATTENTION_UNAVAILABLE, target + " was closed here"));
        }
        if (connected()) {
            return Optional.empty();
        }
        Link fresh = new Link();
        return switch (greet(fresh)) {
            case Answer.Broken(var failure) -> Optional.of(failure);
            case Answer.Reply(var reply) -> {
                AttentionWorkerInfo now = AttentionMessages.info(reply.getInfo());
                if (!now.equals(info)) {
                    fresh.cancel("it serves something else than before");
                    yield Optional.of(
                            new Failure(
                                    ErrorCode.HELLO_MISMATCH,
                                    target + " serves " + now + ", before it was " + info));
                }
                LOG.info("connected again: attention worker={}", target);
                link = Optional.of(fresh);
                yield Optional.empty();
            }
        };
    }

    private boolean connected() {
        return link.isPresent() && !link.get().broken;
    }

    private Answer greet(Link fresh) {
        AttentionRequest hello =
                AttentionRequest.newBuilder()
                        .setCall(nextCall++)
                        .setHello(
                                AttentionHello.newBuilder()
                                        .setWireVersion(AttentionMessages.WIRE_VERSION)
                                        .setClusterId(clusterId)
                                        .setSender(sender))
                        .build();
        Answer answer = fresh.exchange(hello, ReplyCase.INFO, callTimeout);
        if (answer instanceof Answer.Broken) {
            fresh.cancel("no session was made");
        }
        return answer;
    }

    private Answer call(AttentionRequest.Builder request, ReplyCase expected, Duration timeout) {
        if (link.isEmpty()) {
            return new Answer.Broken(notConnected());
        }
        Link open = link.get();
        Answer answer = open.exchange(request.setCall(nextCall++).build(), expected, timeout);
        if (open.broken) {
            LOG.warn("session lost: attention worker={} answer={}", target, answer);
            open.cancel("the session is lost");
            link = Optional.empty();
        }
        return answer;
    }

    private Opening opened(int cached, int known) {
        if (cached < 0 || cached >= known) {
            return new Opening.Refused(
                    new Failure(
                            ErrorCode.MALFORMED_MESSAGE,
                            target + " has " + cached + " cached tokens of " + known));
        }
        return new Opening.Opened(cached);
    }

    private static Optional<Failure> failureOf(Answer answer) {
        return switch (answer) {
            case Answer.Broken(var failure) -> Optional.of(failure);
            case Answer.Reply _ -> Optional.empty();
        };
    }

    private Failure notConnected() {
        return new Failure(ErrorCode.ATTENTION_UNAVAILABLE, "not connected to " + target);
    }

    /// What came back for a request.
    private sealed interface Answer {
        record Reply(AttentionReply reply) implements Answer {}

        /// The worker refused, or the connection broke.
        record Broken(Failure failure) implements Answer {}
    }

    /// One session and its connection. Requests are sent by one caller at a time, so at most one reply is awaited.
    ///
    /// Each has a channel of its own: one that is used again after a failure would first wait out its back-off, and fail calls
    /// meanwhile.
    private final class Link implements ClientResponseObserver<AttentionRequest, AttentionReply> {
        // The awaited reply and the end of the stream.
        private final BlockingQueue<Answer> answers = new ArrayBlockingQueue<>(2);
        private final ManagedChannel channel;
        private ClientCallStreamObserver<AttentionRequest> requests;
        private volatile boolean broken;

        Link() {
            channel =
                    NettyChannelBuilder.forAddress(host, port, credentials)
                            .directExecutor() // replies are only put into a queue
                            .maxInboundMessageSize(AttentionMessages.MAX_MESSAGE_BYTES)
                            .keepAliveTime(KEEP_ALIVE_SECONDS, TimeUnit.SECONDS)
                            .keepAliveTimeout(KEEP_ALIVE_TIMEOUT_SECONDS, TimeUnit.SECONDS)
                            .build();
            AttentionGrpc.newStub(channel).session(this);
        }

        @Override
        public void beforeStart(ClientCallStreamObserver<AttentionRequest> stream) {
            requests = stream;
        }

        @Override
        public void onNext(AttentionReply reply) {
            if (reply.hasLoad()) {
                load = AttentionMessages.load(reply.getLoad());
            }
            answers.offer(
                    reply.hasFailure()
                            ? new Answer.Broken(AttentionMessages.failure(reply.getFailure()))
                            : new Answer.Reply(reply));
        }

        @Override
        public void onError(Throwable error) {
            endWith(
                    "the stream of "
                            + target
                            + " broke: "
                            + StatusText.of(Status.fromThrowable(error)));
        }

        @Override
        public void onCompleted() {
            endWith(target + " ended the stream");
        }

        private void endWith(String message) {
            broken = true;
            answers.offer(new Answer.Broken(new Failure(ErrorCode.ATTENTION_UNAVAILABLE, message)));
        }

        void send(AttentionRequest request) {
            if (!broken) {
                requests.onNext(request);
            }
        }

        Answer exchange(AttentionRequest request, ReplyCase expected, Duration timeout) {
            send(request);
            Answer answer;
            try {
                answer = answers.poll(timeout.toNanos(), TimeUnit.NANOSECONDS);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                return cancel("the wait for " + target + " was interrupted");
            }
            if (answer == null) {
                return cancel("no answer from " + target + " within " + timeout);
            }
            if (answer instanceof Answer.Reply(var reply)
                    && (reply.getCall() != request.getCall() || reply.getReplyCase() != expected)) {
                return cancel(
                        target
                                + " answered call "
                                + request.getCall()
                                + " with "
                                + reply.getReplyCase()
                                + " for call "
                                + reply.getCall());
            }
            return answer;
        }

        /// Gives the session up: an answer that comes later would be taken for another call's.
        Answer cancel(String why) {
            broken = true;
            requests.cancel(why, null);
            channel.shutdownNow();
            return new Answer.Broken(new Failure(ErrorCode.ATTENTION_UNAVAILABLE, why));
        }
    }
}

package io.atoll.attention.step;

import io.atoll.attention.forward.Compute;
import io.atoll.attention.forward.Forward;
import io.atoll.attention.forward.StageTimes;
import io.atoll.attention.forward.StageTimes.Stage;
import io.atoll.attention.forward.StepBatch;
import io.atoll.attention.forward.StepBatch.Logits;
import io.atoll.attention.moe.RoutedExperts;
import io.atoll.attention.sampling.Choice;
import io.atoll.attention.sampling.ConstrainedOutput;
import io.atoll.attention.sampling.Sampler;
import io.atoll.attention.sampling.TokenCounts;
import io.atoll.attention.state.SequenceState;
import io.atoll.attention.state.SequenceStates;
import io.atoll.attention.state.SequenceStates.Reservation;
import io.atoll.attention.step.Speculation.DrafterKind;
import io.atoll.attention.step.StepPlan.SequenceRows;
import io.atoll.kernels.ComputePool;
import io.atoll.kernels.KernelLibrary;
import io.atoll.kernels.Kernels;
import io.atoll.model.config.TextConfig;
import io.atoll.model.grammar.Constraint;
import io.atoll.model.grammar.ConstraintCache;
import io.atoll.model.grammar.GrammarException;
import io.atoll.model.grammar.TokenConstraint;
import io.atoll.model.trace.ForwardObserver;
import io.atoll.model.weights.TextWeights;
import io.atoll.proto.ErrorCode;
import io.atoll.proto.Failure;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicBoolean;

/// The attention worker itself: validates a plan, runs the forward pass over it and samples.
///
/// A plan that is refused leaves every state as it was. A step that fails on its way leaves the states of its sequences
/// undefined: they are marked lost and can only be closed; other sequences are not touched.
///
/// Owns the dense weights, the buffers and the states. Borrows the checkpoint, the routed experts, the kernels and the pool,
/// which must outlive it. One caller at a time, whichever thread it is on; a second one gets an [IllegalStateException].
public final class LocalAttentionWorker implements AttentionWorker {
    private final AttentionWorkerInfo info;
    private static final int[] NO_DRAFTS = {};
    private static final Drafter NO_GUESSES =
            (requests, _) -> new Drafter.Guesses.Found(new int[requests.size()][0]);
    private static final ConstrainedOutput.Next ANY_TOKEN =
            new ConstrainedOutput.Next.Allowed(new long[0]);

    private final RoutedExperts experts;
    private final Optional<ConstraintCache> constraints;
    private final ExecutorService maskThread =
            Executors.newSingleThreadExecutor(
                    Thread.ofPlatform().daemon().name("token-masks").factory());
    private final ComputePool pool;
    private final SequenceStates states;
    private final Forward forward;
    private Drafter drafter;
    private final Sampler[] samplers; // one for each task that samples
    private final Map<Long, Sequence> sequences = new HashMap<>();
    private final AtomicBoolean busy = new AtomicBoolean();
    private volatile boolean closed;
    private volatile AttentionLoad load = AttentionLoad.NONE;

    /// @param weights of the model; their configuration decides the shapes and the rotary embedding
    /// @param modelDigest identifies the checkpoint to others
    /// @param vocabularySize the tokenizer's largest id + 1; ids from here on are padding
    /// @param experts the routed experts of every layer
    /// @param pool may be shared, for example with an expert worker in the same process
    /// @throws io.atoll.model.checkpoint.CheckpointException if a weight is missing or damaged
    public LocalAttentionWorker(
            TextWeights weights,
            String modelDigest,
            int vocabularySize,
            RoutedExperts experts,
            Kernels kernels,
            ComputePool pool,
            AttentionSettings settings) {
        this(
                weights,
                modelDigest,
                vocabularySize,
                Optional.empty(),
                experts,
                kernels,
                pool,
                settings);
    }

    /// The same, for sequences whose output may be constrained.
    ///
    /// @param constraints compiles them; without it such sequences are refused
    public LocalAttentionWorker(
            TextWeights weights,
            String modelDigest,
            int vocabularySize,
            Optional<ConstraintCache> constraints,
            RoutedExperts experts,
            Kernels kernels,
            ComputePool pool,
            AttentionSettings settings) {
        TextConfig config = weights.config();
        if (vocabularySize <= 0 || vocabularySize > config.vocabSize()) {
            throw new IllegalArgumentException(
                    "vocabularySize must be from 1 to "
                            + config.vocabSize()
                            + ": "
                            + vocabularySize);
        }
        this.experts = experts;
        this.constraints = constraints;
        this.pool = pool;
        info =
                new AttentionWorkerInfo(
                        modelDigest,
                        kernels.kernelClass().arithmetic(),
                        KernelLibrary.describe(kernels, pool.threads()),
                        vocabularySize,
                        Math.min(settings.maxSequenceTokens(), config.contextLength()),
                        settings.maxSequences(),
                        settings.maxStepRows(),
                        maxDrafts(weights, settings));
        boolean predicts =
                info.maxDrafts() > 0 && settings.speculation().drafter() == DrafterKind.MTP;
        int verifiedRows =
                Math.min(settings.maxSequences() * (1 + info.maxDrafts()), settings.maxStepRows());
        samplers = new Sampler[Math.min(pool.threads(), settings.maxSequences())];
        for (int i = 0; i < samplers.length; i++) {
            samplers[i] = new Sampler(vocabularySize, kernels);
        }
        states =
                new SequenceStates(
                        config,
                        predicts,
                        settings.kvFormat(),
                        settings.maxSequences(),
                        settings.maxCheckpoints(),
                        info.maxSequenceTokens(),
                        settings.kvCapacityTokens(),
                        settings.checkpointDisk(),
                        String.join("\n", modelDigest, info.arithmetic()));
        try {
            forward =
                    new Forward(
                            weights,
                            experts,
                            states,
                            new Compute(kernels, pool),
                            settings.maxStepRows(),
                            verifiedRows,
                            predicts,
                            info.maxDrafts() > 0 ? verifiedRows : 0,
                            settings.combineTimeout());
        } catch (RuntimeException | Error e) {
            states.close();
            throw e;
        }
        drafter =
                switch (info.maxDrafts() == 0
                        ? DrafterKind.OFF
                        : settings.speculation().drafter()) {
                    case OFF -> NO_GUESSES;
                    case NGRAM -> new PromptLookup();
                    case MTP ->
                            new PredictionDrafter(
                                    forward,
                                    forward.prediction().orElseThrow(),
                                    samplers[0],
                                    settings.maxStepRows(),
                                    config.hiddenSize());
                };
        forward.times().start(); // a few microseconds a step
        publishLoad();
    }

    private static int maxDrafts(TextWeights weights, AttentionSettings settings) {
        return switch (settings.speculation().drafter()) {
            case OFF -> 0;
            case NGRAM -> settings.speculation().maxDrafts();
            case MTP -> weights.mtp().isPresent() ? settings.speculation().maxDrafts() : 0;
        };
    }

    /// An open sequence.
    private static final class Sequence {
        private final Optional<ConstrainedOutput> constrained;
        private final SequenceOptions options;
        private final SequenceState state;
        private final TokenCounts counts;
        private int[] tokens; // seen so far, then room for more
        private OptionalInt cachedTokens = OptionalInt.empty(); // until a checkpoint is loaded
        private boolean lost;

        /// @param known begins with the tokens that the state has seen, or will have when it is loaded
        Sequence(
                SequenceOptions options,
                SequenceState state,
                Optional<ConstrainedOutput> constrained,
                int[] known) {
            this.options = options;
            this.constrained = constrained;
            this.state = state;
            counts = new TokenCounts(options.sampling());
            tokens = known.clone();
        }

        /// Begins where a checkpoint ends.
        void begin() {
            cachedTokens = OptionalInt.of(state.position());
            count(0, state.position());
        }

        /// The tokens seen so far and the next, then anything.
        int[] with(int next) {
            int[] longer = Arrays.copyOf(tokens, Math.max(tokens.length, state.position() + 1));
            longer[state.position()] = next;
            return longer;
        }

        /// Notes that the rows went through every layer.
        void advance(int[] rows) {
            int position = state.position();
            state.advance(rows.length);
            if (tokens.length < state.position()) {
                int room = Math.min(options.maxTokens(), 2 * state.position());
                tokens = Arrays.copyOf(tokens, room);
            }
            System.arraycopy(rows, 0, tokens, position, rows.length);
            count(position, state.position());
        }

        private void count(int from, int to) {
            for (int i = from; i < to; i++) {
                boolean output = i >= options.promptTokens();
                counts.add(tokens[i], output);
                if (output && constrained.isPresent()) {
                    constrained.get().accept(tokens[i]);
                }
            }
        }

        /// Which tokens may come next.
        ConstrainedOutput.Next next() {
            return constrained.isEmpty()
                    ? ANY_TOKEN
                    : constrained.get().next(tokens[state.position() - 1]);
        }
    }

    @Override
    public AttentionWorkerInfo info() {
        return info;
    }

    /// Whether some dense weights are packed in integers, so that rows are rounded to int8 where they meet them.
    public boolean quantizesRows() {
        return forward.quantizesRows();
    }

    /// Bytes of the dense weights that every row meets, without the LM head.
    public long layerBytes() {
        return forward.layerBytes();
    }

    /// Bytes of the LM head, which a step reads if it samples.
    public long headBytes() {
        return forward.headBytes();
    }

    /// Where the time of steps goes, if it is asked to count.
    public StageTimes times() {
        return forward.times();
    }

    @Override
    public Opening open(long sequenceId, SequenceOptions options, int[] tokens) {
        enter();
        try {
            if (sequences.containsKey(sequenceId)) {
                return refuseToOpen(
                        ErrorCode.INVALID_REQUEST, "sequence is open already: id=" + sequenceId);
            }
            if (options.maxTokens() > info.maxSequenceTokens()) {
                return refuseToOpen(
                        ErrorCode.PROMPT_TOO_LONG,
                        "sequence of up to "
                                + options.maxTokens()
                                + " tokens, at most "
                                + info.maxSequenceTokens()
                                + " are served");
            }
            if (tokens.length < options.promptTokens() || tokens.length > options.maxTokens()) {
                return refuseToOpen(
                        ErrorCode.INVALID_REQUEST,
                        "sequence "
                                + sequenceId
                                + " has a prompt of "
                                + options.promptTokens()
                                + " and at most "
                                + options.maxTokens()
                                + " tokens, known are "
                                + tokens.length);
            }
            Optional<ConstrainedOutput> constrained = Optional.empty();
            if (options.constraint().isPresent()) {
                try {
                    constrained = Optional.of(constrain(options.constraint().get()));
                } catch (GrammarException e) {
                    return refuseToOpen(ErrorCode.INVALID_REQUEST, e.getMessage());
                }
            }
            // Nothing is found for a first token alone, so that every row of the prompt is
            // computed.
            int[] known = options.promptLogprobs() ? Arrays.copyOf(tokens, 1) : tokens;
            return switch (states.open(options.maxTokens(), known)) {
                case Reservation.Reserved(var state) -> {
                    Sequence sequence = new Sequence(options, state, constrained, tokens);
                    sequences.put(sequenceId, sequence);
                    yield opening(sequence);
                }
                case Reservation.Refused(var failure) -> new Opening.Refused(failure);
            };
        } finally {
            leave();
        }
    }

    @Override
    public Opening opening(long sequenceId) {
        enter();
        try {
            Sequence sequence = sequences.get(sequenceId);
            return sequence == null
                    ? refuseToOpen(ErrorCode.SEQUENCE_LOST, "unknown sequence: " + sequenceId)
                    : opening(sequence);
        } finally {
            leave();
        }
    }

    private Opening opening(Sequence sequence) {
        if (sequence.cachedTokens.isEmpty()) {
            if (!states.isLoaded(sequence.state)) {
                return new Opening.Loading();
            }
            sequence.begin();
        }
        return new Opening.Opened(sequence.cachedTokens.getAsInt());
    }

    private ConstrainedOutput constrain(OutputConstraint constraint) {
        return new ConstrainedOutput(
                constraint, constraint.text().map(this::compiled), info.vocabularySize());
    }

    private TokenConstraint compiled(Constraint text) {
        return constraints
                .orElseThrow(
                        () ->
                                new IllegalStateException(
                                        "this attention worker was made without constraints"))
                .get(text);
    }

    @Override
    public StepOutcome step(StepPlan plan) {
        return step(plan, ForwardObserver.NONE);
    }

    /// Runs a step and shows its intermediates, for conformance and debugging. With an observer, the logits of every row are
    /// computed and shown, not only of those that sample.
    public StepOutcome step(StepPlan plan, ForwardObserver observer) {
        enter();
        try {
            long deadlineNanos = System.nanoTime() + plan.timeout().toNanos();
            Optional<Failure> refusal = validate(plan);
            if (refusal.isPresent()) {
                return new StepOutcome.Failed(refusal.get());
            }
            return run(plan, observer, deadlineNanos);
        } finally {
            leave();
        }
    }

    /// What the drafter guesses after a token, for conformance.
    ///
    /// @param token the sequence's next
    /// @throws IllegalArgumentException if there is no such sequence
    /// @throws IllegalStateException if an expert worker fails
    public int[] guess(long sequenceId, int token, int count, Duration timeout) {
        enter();
        try {
            Map<Long, int[]> drafts = new HashMap<>();
            Sequence sequence = sequences.get(sequenceId);
            if (sequence == null) {
                throw new IllegalArgumentException("no such sequence: " + sequenceId);
            }
            SequenceRows rows =
                    new SequenceRows(
                            sequenceId,
                            sequence.state.position(),
                            new int[] {token},
                            true,
                            false,
                            count);
            long deadlineNanos = System.nanoTime() + timeout.toNanos();
            Optional<Failure> failure =
                    draft(new StepPlan(0, List.of(rows), timeout), drafts, deadlineNanos);
            if (failure.isPresent()) {
                throw new IllegalStateException("no guesses: " + failure.get());
            }
            return drafts.getOrDefault(sequenceId, NO_DRAFTS);
        } finally {
            leave();
        }
    }

    /// Shows the states of an open sequence under the names of the golden files: `conv_state`, `recurrent_state`, `k`, `v`.
    public void showState(long sequenceId, ForwardObserver observer) {
        enter();
        try {
            Sequence sequence = sequences.get(sequenceId);
            if (sequence == null) {
                throw new IllegalArgumentException("no such sequence: " + sequenceId);
            }
            states.show(sequence.state, observer);
        } finally {
            leave();
        }
    }

    private Optional<Failure> validate(StepPlan plan) {
        if (plan.rows() > info.maxStepRows()) {
            return refuse(
                    ErrorCode.INVALID_REQUEST,
                    "too many rows: step="
                            + plan.stepId()
                            + " rows="
                            + plan.rows()
                            + " max="
                            + info.maxStepRows());
        }
        Set<Long> seen = new HashSet<>();
        for (SequenceRows rows : plan.sequences()) {
            String where = "step=" + plan.stepId() + " sequence=" + rows.sequenceId();
            if (!seen.add(rows.sequenceId())) {
                return refuse(ErrorCode.INVALID_REQUEST, "sequence comes twice: " + where);
            }
            Sequence sequence = sequences.get(rows.sequenceId());
            if (sequence == null) {
                return refuse(ErrorCode.SEQUENCE_LOST, "unknown sequence: " + where);
            }
            if (sequence.lost) {
                return refuse(
                        ErrorCode.SEQUENCE_LOST, "its state was lost in a failed step: " + where);
            }
            if (sequence.cachedTokens.isEmpty()) {
                return refuse(ErrorCode.INVALID_REQUEST, "its state is not loaded yet: " + where);
            }
            int position = sequence.state.position();
            if (rows.firstPosition() != position) {
                return refuse(
                        ErrorCode.SEQUENCE_LOST,
                        "wrong position: "
                                + where
                                + " planned="
                                + rows.firstPosition()
                                + " actual="
                                + position);
            }
            if (rows.tokens().length > sequence.options.maxTokens() - position) {
                return refuse(
                        ErrorCode.INVALID_REQUEST,
                        "past its reserved length: "
                                + where
                                + " position="
                                + position
                                + " rows="
                                + rows.tokens().length
                                + " maxTokens="
                                + sequence.options.maxTokens());
            }
            if (rows.drafts() > info.maxDrafts()) {
                return refuse(
                        ErrorCode.INVALID_REQUEST,
                        "too many drafts: "
                                + where
                                + " drafts="
                                + rows.drafts()
                                + " max="
                                + info.maxDrafts());
            }
            for (int token : rows.tokens()) {
                if (token < 0 || token >= info.vocabularySize()) {
                    return refuse(
                            ErrorCode.INVALID_REQUEST,
                            "no such token: "
                                    + where
                                    + " token="
                                    + token
                                    + " vocabulary="
                                    + info.vocabularySize());
                }
            }
        }
        return Optional.empty();
    }

    private StepOutcome run(StepPlan plan, ForwardObserver observer, long deadlineNanos) {
        // Until the step is complete: an exception must not leave a half-advanced state in use.
        plan.sequences().forEach(rows -> sequences.get(rows.sequenceId()).lost = true);
        Map<Long, int[]> drafts = new HashMap<>();
        Optional<Failure> undrafted = draft(plan, drafts, deadlineNanos);
        if (undrafted.isPresent()) {
            return new StepOutcome.Failed(undrafted.get());
        }
        boolean showAll = !observer.equals(ForwardObserver.NONE);
        List<StepBatch.Piece> pieces = new ArrayList<>(plan.sequences().size());
        for (SequenceRows rows : plan.sequences()) {
            Sequence sequence = sequences.get(rows.sequenceId());
            int[] guessed = drafts.getOrDefault(rows.sequenceId(), NO_DRAFTS);
            Logits wanted = rows.sample() ? Logits.LAST : Logits.NONE;
            pieces.add(
                    new StepBatch.Piece(
                            sequence.state,
                            sequence.state.position(),
                            concatenate(rows.tokens(), guessed),
                            showAll || guessed.length > 0 ? Logits.ALL : wanted,
                            guessed.length > 0));
        }
        StepBatch batch = new StepBatch(pieces);
        Optional<Failure> failure = forward.run(batch, observer, deadlineNanos);
        if (failure.isPresent()) {
            return new StepOutcome.Failed(failure.get());
        }

        List<Draw> draws = new ArrayList<>();
        int logitRows = 0;
        for (SequenceRows rows : plan.sequences()) {
            Sequence sequence = sequences.get(rows.sequenceId());
            int[] guessed = drafts.getOrDefault(rows.sequenceId(), NO_DRAFTS);
            sequence.advance(rows.tokens());
            int shown = showAll ? rows.tokens().length : rows.sample() ? 1 : 0;
            if (rows.sample()) {
                draws.add(new Draw(rows.sequenceId(), sequence, logitRows + shown - 1, guessed));
            }
            logitRows += shown + guessed.length;
        }
        StepOutcome outcome = sample(draws);
        if (outcome instanceof StepOutcome.Completed completed) {
            outcome = score(plan, pieces, completed);
        }
        if (outcome instanceof StepOutcome.Completed completed) {
            outcome =
                    keepSeen(plan, pieces, batch, observer, deadlineNanos)
                            .<StepOutcome>map(StepOutcome.Failed::new)
                            .orElseGet(() -> withDrafted(completed, drafts));
        }
        if (outcome instanceof StepOutcome.Completed) {
            for (SequenceRows rows : plan.sequences()) {
                Sequence sequence = sequences.get(rows.sequenceId());
                sequence.lost = false;
                if (rows.checkpoint()) {
                    states.checkpoint(sequence.state, sequence.tokens);
                }
            }
        }
        forward.times().end(Stage.SAMPLING);
        return outcome;
    }

    private static int[] concatenate(int[] first, int[] second) {
        int[] both = Arrays.copyOf(first, first.length + second.length);
        System.arraycopy(second, 0, both, first.length, second.length);
        return both;
    }

    /// Guesses tokens for the sequences of a step that are to be guessed for.
    ///
    /// @param drafts gets them by the sequence's id, where there are any
    private Optional<Failure> draft(StepPlan plan, Map<Long, int[]> drafts, long deadlineNanos) {
        List<Long> ids = new ArrayList<>();
        List<Drafter.Request> requests = new ArrayList<>();
        for (SequenceRows rows : plan.sequences()) {
            Sequence sequence = sequences.get(rows.sequenceId());
            int length = rows.firstPosition() + 1;
            // The last token of all is chosen, but never seen.
            int wanted = Math.min(rows.drafts(), sequence.options.maxTokens() - length - 1);
            if (wanted > 0) {
                ids.add(rows.sequenceId());
                requests.add(
                        new Drafter.Request(
                                sequence.state,
                                sequence.options,
                                sequence.with(rows.tokens()[0]),
                                length,
                                sequence.counts,
                                wanted));
            }
        }
        if (ids.isEmpty()) {
            return Optional.empty();
        }
        return switch (drafter.draft(requests, deadlineNanos)) {
            case Drafter.Guesses.Failed(Failure failure) -> Optional.of(failure);
            case Drafter.Guesses.Found(int[][] found) -> {
                for (int i = 0; i < found.length; i++) {
                    if (found[i].length > 0) {
                        drafts.put(ids.get(i), found[i]);
                    }
                }
                yield Optional.empty();
            }
        };
    }

    /// Brings states and drafter to the rows that count: all that were planned, and the drafts that were right.
    private Optional<Failure> keepSeen(
            StepPlan plan,
            List<StepBatch.Piece> pieces,
            StepBatch batch,
            ForwardObserver observer,
            long deadlineNanos) {
        int[] counts = new int[pieces.size()];
        List<Drafter.Seen> seen = new ArrayList<>();
        int firstRow = 0;
        for (int i = 0; i < counts.length; i++) {
            Sequence sequence = sequences.get(plan.sequences().get(i).sequenceId());
            counts[i] = sequence.state.position() - pieces.get(i).firstPosition();
            seen.add(new Drafter.Seen(sequence.state, sequence.tokens, firstRow, counts[i]));
            firstRow += pieces.get(i).tokens().length;
        }
        forward.commit(batch, counts);
        return drafter.completed(batch, seen, observer, deadlineNanos);
    }

    private static StepOutcome.Completed withDrafted(
            StepOutcome.Completed completed, Map<Long, int[]> drafts) {
        Map<Long, Integer> drafted = new HashMap<>();
        drafts.forEach((id, guessed) -> drafted.put(id, guessed.length));
        return new StepOutcome.Completed(
                completed.sampled(), completed.failed(), completed.scored(), drafted);
    }

    /// Tokens to choose.
    ///
    /// @param logitRow to choose the first from; the others follow
    /// @param drafts each is followed by a choice if it is what was chosen before it
    private record Draw(long sequenceId, Sequence sequence, int logitRow, int[] drafts) {}

    private StepOutcome sample(List<Draw> draws) {
        List<List<Choice>> choices = new ArrayList<>();
        draws.forEach(_ -> choices.add(new ArrayList<>()));
        int tasks = Math.min(samplers.length, draws.size());
        pool.run(
                tasks,
                task -> {
                    for (int i = task; i < draws.size(); i += tasks) {
                        verify(draws.get(i), samplers[task], choices.get(i));
                    }
                });
        List<StepOutcome.Sampled> sampled = new ArrayList<>();
        Map<Long, Failure> failed = new HashMap<>();
        for (int i = 0; i < draws.size(); i++) {
            long id = draws.get(i).sequenceId();
            for (Choice choice : choices.get(i)) {
                switch (choice) {
                    case Choice.Chosen(int token, float logprob, var top) ->
                            sampled.add(new StepOutcome.Sampled(id, token, logprob, top));
                    case Choice.Impossible(String reason) ->
                            failed.put(id, new Failure(ErrorCode.INVALID_REQUEST, reason));
                    case Choice.NotFinite(int token, float logit) -> {
                        return notFinite(id, token, logit);
                    }
                }
            }
            if (choices.get(i).getLast() instanceof Choice.Chosen chosen) {
                draws.get(i)
                        .sequence()
                        .constrained
                        .ifPresent(output -> output.prepare(chosen.token(), maskThread));
            }
        }
        return new StepOutcome.Completed(sampled, failed);
    }

    /// Chooses a sequence's next token, and goes on as long as the drafts are what is chosen: each token is drawn as it would
    /// have been without drafts, from the same logits and with the noise of its own position.
    private void verify(Draw draw, Sampler sampler, List<Choice> choices) {
        for (int i = 0; ; i++) {
            Choice choice = choose(draw.sequence(), draw.logitRow() + i, sampler);
            choices.add(choice);
            if (i == draw.drafts().length
                    || !(choice instanceof Choice.Chosen chosen)
                    || chosen.token() != draw.drafts()[i]) {
                return;
            }
            draw.sequence().advance(new int[] {chosen.token()});
        }
    }

    private Choice choose(Sequence sequence, int logitRow, Sampler sampler) {
        return switch (sequence.next()) {
            case ConstrainedOutput.Next.Impossible(String reason) -> new Choice.Impossible(reason);
            case ConstrainedOutput.Next.Allowed(long[] allowed) ->
                    sampler.choose(
                            forward.logits(logitRow),
                            sequence.options.sampling(),
                            sequence.counts,
                            sequence.state.position(),
                            allowed,
                            sequence.options.topLogprobs());
        };
    }

    /// A token of a prompt to score, and the row before it.
    private record KnownToken(long sequenceId, Sequence sequence, int position, int row) {
        int token() {
            return sequence.tokens[position];
        }
    }

    /// Adds the scores of prompts to what was sampled, for sequences that want them.
    private StepOutcome score(
            StepPlan plan, List<StepBatch.Piece> pieces, StepOutcome.Completed completed) {
        List<KnownToken> known = new ArrayList<>();
        int firstRow = 0;
        for (int index = 0; index < pieces.size(); index++) {
            SequenceRows rows = plan.sequences().get(index);
            Sequence sequence = sequences.get(rows.sequenceId());
            int next = rows.firstPosition() + 1;
            int end = Math.min(next + rows.tokens().length, sequence.options.promptTokens());
            for (int i = next; i < end && sequence.options.promptLogprobs(); i++) {
                known.add(new KnownToken(rows.sequenceId(), sequence, i, firstRow + i - next));
            }
            firstRow += pieces.get(index).tokens().length;
        }
        if (known.isEmpty()) {
            return completed;
        }
        forward.times().end(Stage.SAMPLING);
        Choice[] scores = new Choice[known.size()];
        forward.forEachLogits(
                known.stream().mapToInt(KnownToken::row).toArray(),
                samplers.length,
                (task, i, logits) ->
                        scores[i] =
                                samplers[task].score(
                                        logits,
                                        known.get(i).token(),
                                        known.get(i).sequence().options.topLogprobs()));
        List<StepOutcome.Scored> scored = new ArrayList<>(scores.length);
        for (int i = 0; i < scores.length; i++) {
            KnownToken of = known.get(i);
            switch (scores[i]) {
                case Choice.Chosen(int token, float logprob, var top) ->
                        scored.add(
                                new StepOutcome.Scored(
                                        of.sequenceId(), of.position(), token, logprob, top));
                case Choice.NotFinite(int token, float logit) -> {
                    return notFinite(of.sequenceId(), token, logit);
                }
                case Choice.Impossible(String reason) -> throw new IllegalStateException(reason);
            }
        }
        return new StepOutcome.Completed(
                completed.sampled(), completed.failed(), scored, completed.drafted());
    }

    private static StepOutcome notFinite(long sequenceId, int token, float logit) {
        return new StepOutcome.Failed(
                new Failure(
                        ErrorCode.NON_FINITE_OUTPUT,
                        "logit is not finite: sequence="
                                + sequenceId
                                + " token="
                                + token
                                + " logit="
                                + logit));
    }

    @Override
    public void close(long sequenceId) {
        enter();
        try {
            Sequence sequence = sequences.remove(sequenceId);
            if (sequence == null) {
                return;
            }
            if (sequence.lost) {
                states.close(sequence.state);
            } else {
                states.closeToCheckpoint(sequence.state, sequence.tokens);
            }
        } finally {
            leave();
        }
    }

    @Override
    public List<ExpertWorkerStatus> expertWorkers() {
        return experts.statistics().stream()
                .map(
                        worker ->
                                new ExpertWorkerStatus(
                                        worker.name(),
                                        worker.address(),
                                        worker.live(),
                                        worker.experts(),
                                        worker.messages(),
                                        worker.rows(),
                                        worker.bytesSent(),
                                        worker.bytesReceived(),
                                        worker.computeNanos(),
                                        worker.roundTripNanos(),
                                        worker.failures()))
                .toList();
    }

    @Override
    public AttentionLoad load() {
        return load;
    }

    /// Others see the numbers as they are between two calls.
    private void publishLoad() {
        Map<Stage, Long> times = forward.times().nanos();
        long mixer =
                times.get(Stage.EMBEDDING)
                        + times.get(Stage.NORMS)
                        + times.get(Stage.MIXER_PROJECTIONS)
                        + times.get(Stage.ATTENTION)
                        + times.get(Stage.DELTA_RULE);
        load =
                new AttentionLoad(
                        states.blocks(),
                        states.usedBlocks(),
                        states.freeBlocks(),
                        states.openSequences(),
                        states.checkpoints(),
                        states.checkpointHits(),
                        states.checkpointEvictions(),
                        states.storedCheckpoints(),
                        states.checkpointLoads(),
                        new AttentionLoad.StepTimes(
                                mixer,
                                times.get(Stage.ROUTER) + times.get(Stage.SHARED_EXPERT),
                                times.get(Stage.ROUTED_EXPERTS),
                                times.get(Stage.HEAD),
                                times.get(Stage.SAMPLING)));
    }

    @Override
    public Optional<Failure> unavailable() {
        return experts.unavailable();
    }

    @Override
    public void close() {
        if (closed) {
            return;
        }
        enter();
        try {
            closed = true;
            maskThread.shutdownNow();
            forward.close();
            states.close();
        } finally {
            leave();
        }
    }

    /// Sequences that could be opened now, for tests of what is freed.
    int freeSequences() {
        return states.freeSequences();
    }

    /// Waits until no checkpoint is on its way to the disk. Any thread may.
    void awaitStored() throws InterruptedException {
        states.awaitStored();
    }

    /// Puts another drafter in the place of the settings', for tests of what becomes of its guesses.
    void draftWith(Drafter other) {
        drafter = other;
    }

    /// Checkpoints kept now, for tests.
    int checkpoints() {
        return states.checkpoints();
    }

    private static Opening refuseToOpen(ErrorCode code, String message) {
        return new Opening.Refused(new Failure(code, message));
    }

    private static Optional<Failure> refuse(ErrorCode code, String message) {
        return Optional.of(new Failure(code, message));
    }

    private void enter() {
        if (!busy.compareAndSet(false, true)) {
            throw new IllegalStateException("an attention worker takes one caller at a time");
        }
        if (closed) {
            leave();
            throw new IllegalStateException("the attention worker is closed");
        }
    }

    private void leave() {
        publishLoad();
        busy.set(false);
    }
}

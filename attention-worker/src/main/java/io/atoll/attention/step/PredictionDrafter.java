package io.atoll.attention.step;

import io.atoll.attention.forward.Forward;
import io.atoll.attention.forward.Prediction;
import io.atoll.attention.forward.StepBatch;
import io.atoll.attention.forward.StepBatch.Logits;
import io.atoll.attention.forward.StepBatch.Piece;
import io.atoll.attention.sampling.Choice;
import io.atoll.attention.sampling.Sampler;
import io.atoll.attention.state.PendingHidden;
import io.atoll.attention.state.SequenceState;
import io.atoll.model.trace.ForwardObserver;
import io.atoll.proto.Failure;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/// Guesses with the model's multi-token prediction module (model spec D).
///
/// The module goes over every token that counts, with the model's hidden states, a few positions behind the model: the last hidden states
/// of a sequence wait in [PendingHidden] until guesses are wanted or there are too many of them. A guess beyond the first goes
/// on from the module's own output, whose keys and values are written over later.
///
/// A guess is drawn as the token will be, with the same noise, which makes it right more often than the likeliest token would be.
final class PredictionDrafter implements Drafter {
    private static final long[] ANY = {};

    private final Forward forward;
    private final Prediction prediction;
    private final Sampler sampler;
    private final int maxRows;
    private final int hidden;
    private final int maxPending;

    /// @param maxRows rows of a step
    /// @param hidden width of a row
    PredictionDrafter(
            Forward forward, Prediction prediction, Sampler sampler, int maxRows, int hidden) {
        this.forward = forward;
        this.prediction = prediction;
        this.sampler = sampler;
        this.maxRows = maxRows;
        this.hidden = hidden;
        maxPending = Math.min(PendingHidden.MAX_ROWS, maxRows);
    }

    @Override
    public Guesses draft(List<Request> requests, long deadlineNanos) {
        int[][] drafts = new int[requests.size()][];
        Arrays.fill(drafts, new int[0]);
        int together = Math.max(1, maxRows / PendingHidden.MAX_ROWS);
        for (int begin = 0; begin < drafts.length; begin += together) {
            int end = Math.min(drafts.length, begin + together);
            Optional<Failure> failure = draft(requests, begin, end, drafts, deadlineNanos);
            if (failure.isPresent()) {
                return new Guesses.Failed(failure.get());
            }
        }
        return new Guesses.Found(drafts);
    }

    /// A sequence in one round of guesses.
    ///
    /// @param index among the requests
    private record Turn(int index, Request request) {}

    private Optional<Failure> draft(
            List<Request> requests, int begin, int end, int[][] drafts, long deadlineNanos) {
        List<Turn> turns = new ArrayList<>();
        for (int i = begin; i < end; i++) {
            // Where nothing waits, nothing is known of the last position either.
            if (requests.get(i).state().pending().rows() > 0) {
                turns.add(new Turn(i, requests.get(i)));
            }
        }
        int[] lastRows = {};
        for (int round = 0; !turns.isEmpty(); round++) {
            List<Piece> pieces = new ArrayList<>();
            int[] rows = new int[turns.size()];
            int row = 0;
            for (int i = 0; i < rows.length; i++) {
                Piece piece =
                        round == 0
                                ? pendingPiece(turns.get(i).request(), row)
                                : nextPiece(turns.get(i), drafts, lastRows[i], row);
                pieces.add(piece);
                row += piece.tokens().length;
                rows[i] = row - 1;
            }
            StepBatch batch = new StepBatch(pieces);
            Optional<Failure> failure = prediction.run(batch, ForwardObserver.NONE, deadlineNanos);
            if (failure.isPresent()) {
                return failure;
            }
            prediction.computeLogits(rows);
            List<Turn> goOn = new ArrayList<>();
            List<Integer> kept = new ArrayList<>();
            for (int i = 0; i < rows.length; i++) {
                Turn turn = turns.get(i);
                if (round == 0) {
                    turn.request().state().pending().setRows(0);
                }
                if (guess(turn, i, drafts) && round + 1 < turn.request().wanted()) {
                    goOn.add(turn);
                    kept.add(rows[i]);
                }
            }
            turns = goOn;
            lastRows = kept.stream().mapToInt(Integer::intValue).toArray();
        }
        return Optional.empty();
    }

    /// The hidden states that wait, each with the token after it.
    private Piece pendingPiece(Request request, int row) {
        SequenceState state = request.state();
        int count = state.pending().rows();
        copyRows(state.pending().memory(), 0, prediction.inputs(), row, count);
        int first = state.position() - count;
        int[] tokens = Arrays.copyOfRange(request.tokens(), first + 1, first + 1 + count);
        return new Piece(state, first, tokens, Logits.NONE, false);
    }

    /// The module's own last output with the token guessed from it.
    private Piece nextPiece(Turn turn, int[][] drafts, int outputRow, int row) {
        copyRows(prediction.outputs(), outputRow, prediction.inputs(), row, 1);
        int[] guessed = drafts[turn.index()];
        int[] token = {guessed[guessed.length - 1]};
        int position = turn.request().state().position() - 1 + guessed.length;
        return new Piece(turn.request().state(), position, token, Logits.NONE, false);
    }

    /// Draws the next guess of a sequence.
    ///
    /// @return whether there is one
    private boolean guess(Turn turn, int logits, int[][] drafts) {
        Request request = turn.request();
        int[] before = drafts[turn.index()];
        Choice choice =
                sampler.choose(
                        forward.logits(logits),
                        request.options().sampling(),
                        request.counts(),
                        request.length() + before.length,
                        ANY,
                        0);
        if (!(choice instanceof Choice.Chosen chosen)) {
            return false; // the module's numbers are no reason to fail
        }
        int[] longer = Arrays.copyOf(before, before.length + 1);
        longer[before.length] = chosen.token();
        drafts[turn.index()] = longer;
        return true;
    }

    @Override
    public Optional<Failure> completed(
            StepBatch batch, List<Seen> seen, ForwardObserver observer, long deadlineNanos) {
        MemorySegment model = prediction.modelHidden(batch);
        Filling filling = new Filling(observer, deadlineNanos);
        for (Seen each : seen) {
            PendingHidden pending = each.state().pending();
            int waiting = pending.rows();
            if (waiting + each.rows() <= maxPending && observer.equals(ForwardObserver.NONE)) {
                copyRows(model, each.firstRow(), pending.memory(), waiting, each.rows());
                pending.setRows(waiting + each.rows());
                continue;
            }
            Optional<Failure> failure = filling.add(each, model);
            if (failure.isPresent()) {
                return failure;
            }
            copyRows(model, each.firstRow() + each.rows() - 1, pending.memory(), 0, 1);
            pending.setRows(1);
        }
        return filling.run();
    }

    /// Rows of several sequences that the module goes over, as many at a time as it can.
    private final class Filling {
        private final ForwardObserver observer;
        private final long deadlineNanos;
        private final List<Piece> pieces = new ArrayList<>();
        private int rows;

        Filling(ForwardObserver observer, long deadlineNanos) {
            this.observer = observer;
            this.deadlineNanos = deadlineNanos;
        }

        /// Adds all hidden states of a sequence but the last, whose next token is not known.
        Optional<Failure> add(Seen seen, MemorySegment model) {
            SequenceState state = seen.state();
            int waiting = state.pending().rows();
            int end = state.position() - 1;
            int position = state.position() - seen.rows() - waiting;
            while (position < end) {
                if (rows == maxRows) {
                    Optional<Failure> failure = run();
                    if (failure.isPresent()) {
                        return failure;
                    }
                }
                int count = Math.min(end - position, maxRows - rows);
                for (int i = 0; i < count; i++) {
                    int index = position + i - (state.position() - seen.rows());
                    if (index < 0) {
                        copyRows(
                                state.pending().memory(),
                                waiting + index,
                                prediction.inputs(),
                                rows + i,
                                1);
                    } else {
                        copyRows(model, seen.firstRow() + index, prediction.inputs(), rows + i, 1);
                    }
                }
                int[] tokens =
                        Arrays.copyOfRange(seen.tokens(), position + 1, position + 1 + count);
                pieces.add(new Piece(state, position, tokens, Logits.NONE, false));
                rows += count;
                position += count;
            }
            return Optional.empty();
        }

        Optional<Failure> run() {
            if (rows == 0) {
                return Optional.empty();
            }
            Optional<Failure> failure =
                    prediction.run(new StepBatch(pieces), observer, deadlineNanos);
            pieces.clear();
            rows = 0;
            return failure;
        }
    }

    private void copyRows(MemorySegment from, int fromRow, MemorySegment to, int toRow, int rows) {
        long rowBytes = (long) hidden * Float.BYTES;
        MemorySegment.copy(from, fromRow * rowBytes, to, toRow * rowBytes, rows * rowBytes);
    }
}

package io.atoll.coordinator.scheduler;

import io.atoll.attention.step.SequenceOptions;
import io.atoll.attention.step.StepPlan.SequenceRows;
import io.atoll.proto.ErrorCode;
import io.atoll.proto.Failure;
import java.util.Arrays;
import java.util.Comparator;

/// One sequence as the scheduler sees it: its tokens, and how many of them the worker has seen.
final class Scheduled {
    /// More urgent first, then first come.
    static final Comparator<Scheduled> ORDER =
            Comparator.<Scheduled>comparingInt(each -> each.priority)
                    .thenComparingLong(each -> each.id);

    /// Chance that a guess is right, of a sequence that nothing is known of.
    private static final double FIRST_ACCEPTANCE = 0.6;

    /// Weight of the last guess.
    private static final double LAST = 0.15;

    final long id;
    final int priority;
    final SequenceOptions options;
    private final long queueDeadlineNanos;
    private final long deadlineNanos;
    private final int[] checkpoints;
    private int[] tokens; // prompt and output, then room for more
    private int length;
    private int position; // the worker has seen the tokens before it
    private boolean started;
    private boolean loading;
    private double acceptance = FIRST_ACCEPTANCE;
    private int stepsWithoutDrafts;

    Scheduled(Event.Arrived arrived) {
        id = arrived.sequenceId();
        priority = arrived.priority();
        options = arrived.options();
        queueDeadlineNanos = arrived.queueDeadlineNanos();
        deadlineNanos = arrived.deadlineNanos();
        checkpoints = arrived.checkpoints();
        tokens = arrived.prompt();
        length = tokens.length;
    }

    /// What is known of it: prompt and output so far.
    int[] tokens() {
        return length == tokens.length ? tokens : Arrays.copyOf(tokens, length);
    }

    /// The worker keeps it, and is not ready to go on with it.
    void loading() {
        loading = true;
        started = true;
    }

    boolean isLoading() {
        return loading;
    }

    /// The worker keeps it, and has seen so many tokens.
    void opened(int cachedTokens) {
        if (cachedTokens < 0 || cachedTokens >= length) {
            throw new IllegalArgumentException(
                    this + " of " + length + " tokens has " + cachedTokens + " cached");
        }
        position = cachedTokens;
        started = true;
        loading = false;
    }

    /// Takes the token chosen last.
    void append(int token) {
        if (length == tokens.length) {
            int room = Math.min(options.maxTokens(), 2 * length);
            tokens = Arrays.copyOf(tokens, Math.max(length + 1, room));
        }
        tokens[length++] = token;
    }

    void advance(int rows) {
        position += rows;
    }

    /// Learns how many of its guesses were right; one that follows a wrong one says nothing.
    void verified(int drafted, int accepted) {
        for (int i = 0; i < Math.min(drafted, accepted + 1); i++) {
            acceptance += LAST * ((i < accepted ? 1 : 0) - acceptance);
        }
    }

    /// Chance that a guess is right if those before it are.
    double acceptance() {
        return acceptance;
    }

    /// How many tokens may come beyond the next.
    int room() {
        return options.maxTokens() - length - 1;
    }

    /// Notes what a step guesses, and says whether it is time for a guess, after steps without any.
    boolean probes(int drafts, int afterSteps) {
        stepsWithoutDrafts = drafts > 0 ? 0 : stepsWithoutDrafts + 1;
        if (stepsWithoutDrafts < afterSteps) {
            return false;
        }
        stepsWithoutDrafts = 0;
        return true;
    }

    /// Tokens that the worker has not seen.
    int remaining() {
        return length - position;
    }

    /// Whether the one token left is an output: the sequence waits for nothing but its next step.
    boolean decodes() {
        return length > options.promptTokens() && remaining() == 1;
    }

    /// The next rows, at most `budget`. They end where a checkpoint is due.
    ///
    /// @param checkpointRows a checkpoint is due at each multiple of it in the prompt; 0 for none
    SequenceRows next(int budget, int checkpointRows) {
        int end = Math.min(length, position + budget);
        int due = nextCheckpoint(checkpointRows);
        boolean checkpoint = due <= end;
        if (checkpoint) {
            end = due;
        }
        return new SequenceRows(
                id, position, Arrays.copyOfRange(tokens, position, end), end == length, checkpoint);
    }

    /// The lowest position past the present one where a checkpoint is due; past the last token if none is.
    private int nextCheckpoint(int checkpointRows) {
        int due = Integer.MAX_VALUE;
        for (int each : checkpoints) {
            if (each > position) {
                due = each;
                break;
            }
        }
        if (checkpointRows > 0) {
            int multiple = (position / checkpointRows + 1) * checkpointRows;
            if (multiple < options.promptTokens()) {
                due = Math.min(due, multiple);
            }
        }
        return due;
    }

    boolean isExpired(long nowNanos) {
        return nowNanos - deadlineNanos >= 0;
    }

    boolean hasQueuedTooLong(long nowNanos) {
        return !started && nowNanos - queueDeadlineNanos >= 0;
    }

    Failure expired(String state) {
        return new Failure(
                ErrorCode.DEADLINE_EXCEEDED,
                "the request ran into its deadline: "
                        + state
                        + ", position="
                        + position
                        + " prompt="
                        + options.promptTokens());
    }

    Failure queuedTooLong() {
        return new Failure(
                ErrorCode.OVERLOADED,
                "the request was not begun within its queue time: prompt="
                        + options.promptTokens());
    }

    @Override
    public String toString() {
        return "sequence " + id;
    }
}

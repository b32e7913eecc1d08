package io.atoll.model.vision;

import java.util.List;

/// The three positions (time, height, width) of each token of a sequence with pictures (model specification G.4). A text token's are
/// equal. Tokens after the known ones are text, so this goes on for ever: a token's positions never depend on what follows it.
public final class MropePositions {
    /// Those of a sequence without pictures: each token's index.
    public static final MropePositions TEXT = new MropePositions(List.of());

    private final List<VisualRun> runs;
    private final int[]
            shifts; // what to add to a text token's index, before each run and after the last

    /// @param runs all runs of pads, ascending, none of them overlapping
    /// @throws IllegalArgumentException if they are not
    public MropePositions(List<VisualRun> runs) {
        this.runs = List.copyOf(runs);
        shifts = new int[runs.size() + 1];
        int end = 0;
        for (int i = 0; i < runs.size(); i++) {
            VisualRun run = runs.get(i);
            if (run.begin() < end) {
                throw new IllegalArgumentException(
                        "runs of pads overlap or are out of order: "
                                + run
                                + " begins before "
                                + end);
            }
            end = run.end();
            shifts[i + 1] = shifts[i] + Math.max(run.rows(), run.cols()) - run.length();
        }
    }

    /// The runs of pads.
    public List<VisualRun> runs() {
        return runs;
    }

    /// Position in time of the token at an index.
    public int time(int index) {
        int at = runBefore(index);
        return at >= 0 && index < runs.get(at).end()
                ? runs.get(at).begin() + shifts[at]
                : index + shifts[at + 1];
    }

    /// Position in height of the token at an index.
    public int height(int index) {
        int at = runBefore(index);
        if (at < 0 || index >= runs.get(at).end()) {
            return index + shifts[at + 1];
        }
        VisualRun run = runs.get(at);
        return run.begin() + shifts[at] + (index - run.begin()) / run.cols();
    }

    /// Position in width of the token at an index.
    public int width(int index) {
        int at = runBefore(index);
        if (at < 0 || index >= runs.get(at).end()) {
            return index + shifts[at + 1];
        }
        VisualRun run = runs.get(at);
        return run.begin() + shifts[at] + (index - run.begin()) % run.cols();
    }

    /// What is added to the index of a token behind all pads.
    public int delta() {
        return shifts[shifts.length - 1];
    }

    /// Which run has a token as a pad; -1 if none has.
    int runAt(int index) {
        int at = runBefore(index);
        return at >= 0 && index < runs.get(at).end() ? at : -1;
    }

    /// The last run that begins at or before an index; -1 if there is none.
    private int runBefore(int index) {
        int low = 0;
        int high = runs.size() - 1;
        while (low <= high) {
            int middle = (low + high) >>> 1;
            if (runs.get(middle).begin() <= index) {
                low = middle + 1;
            } else {
                high = middle - 1;
            }
        }
        return high;
    }
}

package io.atoll.model.chat;

import java.util.ArrayList;
import java.util.List;

/// Collects deltas and joins neighbours of one kind.
final class Deltas {
    private List<OutputDelta> done = new ArrayList<>();
    private Kind kind = Kind.NOTHING;
    private int call; // of an ARGUMENTS text
    private final StringBuilder text = new StringBuilder();

    private enum Kind {
        NOTHING,
        REASONING,
        CONTENT,
        ARGUMENTS
    }

    void reasoning(String piece) {
        open(Kind.REASONING, 0).append(piece);
    }

    void content(CharSequence piece) {
        open(Kind.CONTENT, 0).append(piece);
    }

    void callStarted(int index, String id, String name) {
        flush();
        done.add(new OutputDelta.CallStarted(index, id, name));
    }

    void arguments(int index, CharSequence piece) {
        open(Kind.ARGUMENTS, index).append(piece);
    }

    void callEnded(int index, String arguments) {
        flush();
        done.add(new OutputDelta.CallEnded(index, arguments));
    }

    /// What was collected since the last time.
    List<OutputDelta> take() {
        flush();
        List<OutputDelta> taken = List.copyOf(done);
        done = new ArrayList<>();
        return taken;
    }

    private StringBuilder open(Kind wanted, int index) {
        if (kind != wanted || call != index) {
            flush();
            kind = wanted;
            call = index;
        }
        return text;
    }

    private void flush() {
        if (!text.isEmpty()) {
            String joined = text.toString();
            done.add(
                    switch (kind) {
                        case REASONING -> new OutputDelta.Reasoning(joined);
                        case CONTENT -> new OutputDelta.Content(joined);
                        case ARGUMENTS -> new OutputDelta.Arguments(call, joined);
                        case NOTHING -> throw new IllegalStateException("text of no kind");
                    });
            text.setLength(0);
        }
        kind = Kind.NOTHING;
    }
}

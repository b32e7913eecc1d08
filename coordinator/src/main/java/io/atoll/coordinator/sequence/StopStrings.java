package io.atoll.coordinator.sequence;

import java.util.List;

/// Finds the first stop string in a text that arrives in pieces.
///
/// The end of the text that might be the beginning of a stop string is held back until it can't be.
final class StopStrings {
    private final List<String> stops;
    private final StringBuilder pending = new StringBuilder();
    private boolean found;

    /// @param stops not empty strings
    StopStrings(List<String> stops) {
        this.stops = stops;
    }

    /// Adds a piece and gives the text that is known to belong to the answer.
    String append(String piece) {
        if (stops.isEmpty()) {
            return piece;
        }
        if (found) {
            return "";
        }
        pending.append(piece);
        int cut = firstStop();
        if (cut >= 0) {
            found = true;
            String before = pending.substring(0, cut);
            pending.setLength(0);
            return before;
        }
        return release(pending.length() - heldBack());
    }

    /// The text that was held back, when no more comes.
    String finish() {
        return release(pending.length());
    }

    /// Whether a stop string has been seen. Nothing after it belongs to the answer.
    boolean found() {
        return found;
    }

    /// Where the stop string begins that is complete first, the longer one of two; -1 if there is none. Which one that is
    /// does not depend on the pieces.
    private int firstStop() {
        int start = -1;
        int end = Integer.MAX_VALUE;
        for (String stop : stops) {
            int at = pending.indexOf(stop);
            int stopEnd = at + stop.length();
            if (at >= 0 && (stopEnd < end || (stopEnd == end && at < start))) {
                start = at;
                end = stopEnd;
            }
        }
        return start;
    }

    /// Length of the longest end of the pending text that a stop string begins with.
    private int heldBack() {
        int longest = 0;
        for (String stop : stops) {
            for (int length = Math.min(stop.length() - 1, pending.length());
                    length > longest;
                    length--) {
                if (endsWith(stop, length)) {
                    longest = length;
                }
            }
        }
        return longest;
    }

    private boolean endsWith(String stop, int length) {
        int start = pending.length() - length;
        for (int i = 0; i < length; i++) {
            if (pending.charAt(start + i) != stop.charAt(i)) {
                return false;
            }
        }
        return true;
    }

    private String release(int length) {
        String text = pending.substring(0, length);
        pending.delete(0, length);
        return text;
    }
}

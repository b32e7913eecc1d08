package io.atoll.proto.wire;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.atoll.proto.Failure;
import java.lang.foreign.MemorySegment;
import java.util.Optional;

/// Reads and checks the replies of one stream in exact mode. One thread at a time.
public final class SumReader {
    private final int hidden;
    private final BatchReader batch = new BatchReader();

    public SumReader(int hidden) {
        this.hidden = hidden;
    }

    /// Reads a reply. The message's memory stays in use by [Sums#addRow] until the message is closed.
    public Sums read(FlightMessage message) throws MalformedMessageException {
        ReplyHeader header = ReplyHeader.read(message);
        if (ReplyHeader.isError(message)) {
            Failure failure = ReplyHeader.failure(message);
            return new Sums(header, Optional.of(failure), message.memory(), hidden, 0, 0, 0);
        }
        try {
            return readSums(message, header);
        } catch (IndexOutOfBoundsException _) {
            throw ArrowSchemas.outside();
        }
    }

    private Sums readSums(FlightMessage message, ReplyHeader header)
            throws MalformedMessageException {
        int rows = batch.open(message, 4, 7);
        if (rows != header.rows()) {
            throw new MalformedMessageException(
                    "app_metadata.rows", header.rows() + " for a batch of " + rows);
        }
        batch.node("sum", rows);
        batch.node("sum.item", (long) rows * hidden);
        long sumAt = batch.buffer("sum.data", (long) rows * hidden * Integer.BYTES);
        batch.node("wide", rows);
        long offsetsAt = batch.buffer("wide.offsets", (rows + 1L) * Integer.BYTES);
        int wide = batch.node("wide.item");
        long wideAt = batch.buffer("wide.data", (long) wide * Long.BYTES);
        MemorySegment memory = message.memory();
        int last = memory.get(JAVA_INT, offsetsAt);
        if (last != 0) {
            throw new MalformedMessageException("wide.offsets[0]", last + ", expected 0");
        }
        for (int row = 1; row <= rows; row++) {
            int next = memory.get(JAVA_INT, offsetsAt + (long) row * Integer.BYTES);
            if (next > wide || (next != last && (next < last || next - last != hidden))) {
                throw new MalformedMessageException(
                        "wide.offsets[" + row + "]",
                        next + " after " + last + ", with " + wide + " elements");
            }
            last = next;
        }
        return new Sums(header, Optional.empty(), memory, hidden, sumAt, offsetsAt, wideAt);
    }

    /// The sums of one reply, or its error.
    public static final class Sums {
        private final ReplyHeader header;
        private final Optional<Failure> failure;
        private final MemorySegment memory;
        private final int hidden;
        private final long sumAt;
        private final long offsetsAt;
        private final long wideAt;

        private Sums(
                ReplyHeader header,
                Optional<Failure> failure,
                MemorySegment memory,
                int hidden,
                long sumAt,
                long offsetsAt,
                long wideAt) {
            this.header = header;
            this.failure = failure;
            this.memory = memory;
            this.hidden = hidden;
            this.sumAt = sumAt;
            this.offsetsAt = offsetsAt;
            this.wideAt = wideAt;
        }

        public ReplyHeader header() {
            return header;
        }

        /// Why there are no sums, if there are none.
        public Optional<Failure> failure() {
            return failure;
        }

        /// Whether a row travelled as int64.
        public boolean isWide(int row) {
            long at = offsetsAt + (long) row * Integer.BYTES;
            return memory.get(JAVA_INT, at) != memory.get(JAVA_INT, at + Integer.BYTES);
        }

        /// Adds one row to int64 accumulators.
        ///
        /// @param accumulators int64; the row's start at byte `at`
        public void addRow(int row, MemorySegment accumulators, long at) {
            if (isWide(row)) {
                long from =
                        wideAt
                                + (long)
                                                memory.get(
                                                        JAVA_INT,
                                                        offsetsAt + (long) row * Integer.BYTES)
                                        * Long.BYTES;
                for (int i = 0; i < hidden; i++) {
                    long to = at + (long) i * Long.BYTES;
                    long sum = memory.get(JAVA_LONG, from + (long) i * Long.BYTES);
                    accumulators.set(JAVA_LONG, to, accumulators.get(JAVA_LONG, to) + sum);
                }
            } else {
                long from = sumAt + (long) row * hidden * Integer.BYTES;
                for (int i = 0; i < hidden; i++) {
                    long to = at + (long) i * Long.BYTES;
                    long sum = memory.get(JAVA_INT, from + (long) i * Integer.BYTES);
                    accumulators.set(JAVA_LONG, to, accumulators.get(JAVA_LONG, to) + sum);
                }
            }
        }
    }
}

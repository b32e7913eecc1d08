package io.atoll.proto.wire;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.atoll.proto.wire.FlightMessage.Part;
import java.lang.foreign.MemorySegment;

/// Lays out the sums of one reply. One thread; reused for message after message.
public final class SumWriter {
    private static final long METADATA_AT = 0;
    private static final long HEADER_AT = WirePool.align(ReplyHeader.BYTES);
    private static final long BODY_AT = HEADER_AT + WirePool.align(BatchMetadata.maxBytes());

    private final WirePool pool;
    private final int hidden;
    private final BatchMetadata metadata = new BatchMetadata();

    public SumWriter(WirePool pool, int hidden) {
        this.pool = pool;
        this.hidden = hidden;
    }

    /// Exact sums: int32 where a row fits, int64 where it does not.
    ///
    /// @param sums int64 `[header.rows(), hidden]`
    public FlightMessage exact(ReplyHeader header, MemorySegment sums) {
        int rows = header.rows();
        int wideRows = 0;
        for (int row = 0; row < rows; row++) {
            if (!fitsInt(sums, row)) {
                wideRows++;
            }
        }
        metadata.start();
        metadata.node(rows);
        metadata.node((long) rows * hidden);
        long sumOffset = metadata.buffer((long) rows * hidden * Integer.BYTES);
        metadata.node(rows); // wide
        long offsetsOffset = metadata.buffer((rows + 1L) * Integer.BYTES);
        metadata.node((long) wideRows * hidden);
        long wideOffset = metadata.buffer((long) wideRows * hidden * Long.BYTES);

        FlightMessage message = open(rows);
        MemorySegment memory = message.memory();
        long offsetsAt = BODY_AT + offsetsOffset;
        memory.set(JAVA_INT, offsetsAt, 0);
        int wide = 0;
        for (int row = 0; row < rows; row++) {
            long sumAt = BODY_AT + sumOffset + (long) row * hidden * Integer.BYTES;
            long from = (long) row * hidden * Long.BYTES;
            if (wideRows == 0 || fitsInt(sums, row)) {
                for (int i = 0; i < hidden; i++) {
                    long sum = sums.get(JAVA_LONG, from + (long) i * Long.BYTES);
                    memory.set(JAVA_INT, sumAt + (long) i * Integer.BYTES, (int) sum);
                }
            } else {
                memory.asSlice(sumAt, (long) hidden * Integer.BYTES).fill((byte) 0);
                long to = BODY_AT + wideOffset + (long) wide * hidden * Long.BYTES;
                MemorySegment.copy(sums, from, memory, to, (long) hidden * Long.BYTES);
                wide++;
            }
            memory.set(JAVA_INT, offsetsAt + (row + 1L) * Integer.BYTES, wide * hidden);
        }
        header.write(message.buffer().bytes, (int) METADATA_AT);
        message.place(Part.METADATA, (int) METADATA_AT, ReplyHeader.BYTES);
        return message;
    }

    private boolean fitsInt(MemorySegment sums, int row) {
        long lost = 0;
        long from = (long) row * hidden * Long.BYTES;
        for (int i = 0; i < hidden; i++) {
            long sum = sums.get(JAVA_LONG, from + (long) i * Long.BYTES);
            lost |= sum ^ (int) sum;
        }
        return lost == 0;
    }

    /// Float sums, for a plain Flight client: no header of ours.
    ///
    /// @param sums f32 `[rows, hidden]`
    public FlightMessage floats(int rows, MemorySegment sums) {
        metadata.start();
        metadata.node(rows);
        metadata.node((long) rows * hidden);
        long sumOffset = metadata.buffer((long) rows * hidden * Float.BYTES);
        FlightMessage message = open(rows);
        long bytes = (long) rows * hidden * Float.BYTES;
        MemorySegment.copy(sums, 0, message.memory(), BODY_AT + sumOffset, bytes);
        return message;
    }

    private FlightMessage open(int rows) {
        FlightMessage message = new FlightMessage(pool, pool.take(BODY_AT + metadata.bodyBytes()));
        message.place(Part.BODY, (int) BODY_AT, (int) metadata.bodyBytes());
        int length = metadata.write(rows, message.buffer().bytes, (int) HEADER_AT);
        message.place(Part.HEADER, (int) HEADER_AT, length);
        return message;
    }
}

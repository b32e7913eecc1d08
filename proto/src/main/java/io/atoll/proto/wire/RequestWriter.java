package io.atoll.proto.wire;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import io.atoll.proto.wire.FlightMessage.Part;
import java.lang.foreign.MemorySegment;

/// Lays out the rows and routes of one message. One thread; reused for message after message.
///
/// The order of calls: [#start], then for each row one `row` and its [#route]s, then [#finish].
public final class RequestWriter {
    private final WirePool pool;
    private final RowFormat format;
    private final int hidden;
    private final int rowBytes;
    private final int scaleBytes;
    private final BatchMetadata metadata = new BatchMetadata();

    private FlightMessage message; // null between messages
    private MemorySegment memory; // of the message
    private long hiddenAt;
    private long scalesAt;
    private long offsetsAt;
    private long expertsAt;
    private long weightsAt;
    private int rows;
    private int routes;
    private int row;
    private int route;

    public RequestWriter(WirePool pool, RowFormat format, int hidden) {
        if (hidden <= 0 || (format == RowFormat.Q8 && hidden % RowFormat.BLOCK != 0)) {
            throw new IllegalArgumentException(format + " rows of " + hidden + " elements");
        }
        this.pool = pool;
        this.format = format;
        this.hidden = hidden;
        this.rowBytes = format.rowBytes(hidden);
        this.scaleBytes = format.scaleBytes(hidden);
    }

    /// Most rows of `routesPerRow` routes whose body, and whose reply's, stays within `bytes`; at least 1.
    public int rowsWithin(int bytes, int routesPerRow) {
        int perRow = rowBytes + scaleBytes + Integer.BYTES + routesPerRow * 2 * Integer.BYTES;
        int replyPerRow = (hidden + 1) * Integer.BYTES;
        return Math.max(1, (bytes - 8 * WirePool.ALIGNMENT) / Math.max(perRow, replyPerRow));
    }

    /// Begins a message of `rows` rows with `routes` routes in all.
    public void start(int rows, int routes) {
        this.rows = rows;
        this.routes = routes;
        row = 0;
        route = 0;
        metadata.start();
        metadata.node(rows);
        metadata.node((long) rows * hidden);
        long hiddenOffset = metadata.buffer((long) rows * rowBytes);
        long scalesOffset = 0;
        if (format == RowFormat.Q8) {
            metadata.node(rows);
            metadata.node((long) rows * (hidden / RowFormat.BLOCK));
            scalesOffset = metadata.buffer((long) rows * scaleBytes);
        }
        metadata.node(rows); // routes
        long offsetsOffset = metadata.buffer((rows + 1L) * Integer.BYTES);
        metadata.node(routes); // the struct
        metadata.node(routes);
        long expertsOffset = metadata.buffer((long) routes * Integer.BYTES);
        metadata.node(routes);
        long weightsOffset = metadata.buffer((long) routes * Float.BYTES);

        long bodyAt =
                WirePool.align(DispatchHeader.BYTES) + WirePool.align(BatchMetadata.maxBytes());
        message = new FlightMessage(pool, pool.take(bodyAt + metadata.bodyBytes()));
        message.place(Part.BODY, (int) bodyAt, (int) metadata.bodyBytes());
        memory = message.memory();
        hiddenAt = bodyAt + hiddenOffset;
        scalesAt = bodyAt + scalesOffset;
        offsetsAt = bodyAt + offsetsOffset;
        expertsAt = bodyAt + expertsOffset;
        weightsAt = bodyAt + weightsOffset;
        memory.set(JAVA_INT, offsetsAt, 0);
    }

    /// The next row, for F32.
    ///
    /// @param x f32 rows; the row starts at byte `at`
    public void row(MemorySegment x, long at) {
        MemorySegment.copy(x, at, memory, hiddenAt + (long) row * rowBytes, rowBytes);
        row++;
        memory.set(JAVA_INT, offsetsAt + (long) row * Integer.BYTES, route);
    }

    /// The next row, for Q8.
    ///
    /// @param q int8 rows; the row starts at byte `at`
    /// @param scales f32 scales; the row's start at byte `scaleAt`
    public void row(MemorySegment q, long at, MemorySegment scales, long scaleAt) {
        MemorySegment.copy(scales, scaleAt, memory, scalesAt + (long) row * scaleBytes, scaleBytes);
        row(q, at);
    }

    /// A route of the last row.
    public void route(int expert, float weight) {
        memory.set(JAVA_INT, expertsAt + (long) route * Integer.BYTES, expert);
        memory.set(JAVA_FLOAT, weightsAt + (long) route * Float.BYTES, weight);
        route++;
        memory.set(JAVA_INT, offsetsAt + (long) row * Integer.BYTES, route);
    }

    /// The finished message. Its owner sends it, or closes it.
    public FlightMessage finish(DispatchHeader header) {
        header.write(message.buffer().bytes, 0);
        message.place(Part.METADATA, 0, DispatchHeader.BYTES);
        return finish();
    }

    /// The finished message without a header of ours, as a plain Flight client sends it.
    FlightMessage finish() {
        if (row != rows || route != routes) {
            throw new IllegalStateException(
                    row + " of " + rows + " rows, " + route + " of " + routes + " routes written");
        }
        int at = (int) WirePool.align(DispatchHeader.BYTES);
        int length = metadata.write(rows, message.buffer().bytes, at);
        message.place(Part.HEADER, at, length);
        FlightMessage finished = message;
        message = null;
        return finished;
    }
}

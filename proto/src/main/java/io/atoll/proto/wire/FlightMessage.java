package io.atoll.proto.wire;

import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Optional;

/// One `FlightData` message: a Flight descriptor, Arrow metadata (`data_header`), `app_metadata` and a body, each possibly
/// empty, side by side in one pooled buffer.
///
/// A message has one owner at a time. A received one belongs to whoever gets it, and `close()` gives the buffer back; a sent
/// one belongs to gRPC, which closes it once its bytes are in the transport's hands.
public final class FlightMessage implements AutoCloseable {
    private final WirePool pool;
    private WirePool.Buffer buffer; // null once closed
    private final int[] offsets = new int[Part.ALL.length];
    private final int[] lengths = new int[Part.ALL.length];
    private MalformedMessageException problem; // null unless the frame itself did not parse

    /// The fields of a message, in wire order.
    enum Part {
        DESCRIPTOR(0, 1),
        HEADER(1, 2),
        METADATA(2, 3),
        BODY(3, 1000);

        private static final Part[] ALL = values();

        final int slot; // place in a message's arrays
        final int fieldNumber;

        Part(int slot, int fieldNumber) {
            this.slot = slot;
            this.fieldNumber = fieldNumber;
        }

        static Part[] all() {
            return ALL;
        }
    }

    FlightMessage(WirePool pool, WirePool.Buffer buffer) {
        this.pool = pool;
        this.buffer = buffer;
    }

    /// A message without rows: `header` and `descriptor` open a stream, `metadata` alone carries an error.
    public static FlightMessage of(
            WirePool pool, byte[] descriptor, byte[] header, byte[] metadata) {
        long bytes =
                WirePool.align(descriptor.length)
                        + WirePool.align(header.length)
                        + WirePool.align(metadata.length);
        FlightMessage message = new FlightMessage(pool, pool.take(bytes));
        int offset = message.put(Part.DESCRIPTOR, 0, descriptor);
        offset = message.put(Part.HEADER, offset, header);
        message.put(Part.METADATA, offset, metadata);
        return message;
    }

    private int put(Part part, int offset, byte[] bytes) {
        buffer().bytes.put(offset, bytes);
        place(part, offset, bytes.length);
        return (int) WirePool.align(offset + (long) bytes.length);
    }

    void place(Part part, int offset, int length) {
        offsets[part.slot] = offset;
        lengths[part.slot] = length;
    }

    void fail(MalformedMessageException malformed) {
        problem = malformed;
    }

    /// Why the frame did not parse, if it did not. The parts of such a message are undefined.
    public Optional<MalformedMessageException> problem() {
        return Optional.ofNullable(problem);
    }

    int offset(Part part) {
        return offsets[part.slot];
    }

    int length(Part part) {
        return lengths[part.slot];
    }

    public boolean hasDescriptor() {
        return length(Part.DESCRIPTOR) > 0;
    }

    public boolean hasHeader() {
        return length(Part.HEADER) > 0;
    }

    public boolean hasMetadata() {
        return length(Part.METADATA) > 0;
    }

    public int bodyBytes() {
        return length(Part.BODY);
    }

    /// Bytes of all parts together.
    public int totalBytes() {
        int total = 0;
        for (int length : lengths) {
            total += length;
        }
        return total;
    }

    /// A copy of the descriptor's bytes.
    public byte[] descriptor() {
        return copy(Part.DESCRIPTOR);
    }

    /// A copy of `app_metadata`.
    public byte[] metadata() {
        return copy(Part.METADATA);
    }

    byte[] copy(Part part) {
        byte[] bytes = new byte[length(part)];
        buffer().bytes.get(offset(part), bytes);
        return bytes;
    }

    /// A view of one part, bounded on both sides.
    ByteBuffer view(Part part) {
        return buffer().bytes.slice(offset(part), length(part)).order(ByteOrder.LITTLE_ENDIAN);
    }

    /// The whole buffer; parts lie in it at [#offset].
    MemorySegment memory() {
        return buffer().segment;
    }

    WirePool.Buffer buffer() {
        if (buffer == null) {
            throw new IllegalStateException("message is closed");
        }
        return buffer;
    }

    /// Gives the buffer back; views and slices of it must not be used any more. Closing twice does nothing.
    @Override
    public void close() {
        WirePool.Buffer last = buffer;
        if (last != null) {
            buffer = null;
            pool.giveBack(last);
        }
    }
}

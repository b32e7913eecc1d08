package io.atoll.proto.wire;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import io.grpc.Drainable;
import io.grpc.HasByteBuffer;
import io.grpc.KnownLength;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.util.Random;

/// Moves messages through the marshaller as gRPC would, and makes rows to put into them.
final class WireBytes {
    static final WirePool POOL = new WirePool();
    private static final FlightMessageMarshaller MARSHALLER = new FlightMessageMarshaller(POOL);

    private WireBytes() {}

    /// The protobuf bytes of a message; closes it, as sending does.
    static byte[] drain(FlightMessage message) throws IOException {
        try (InputStream stream = MARSHALLER.stream(message)) {
            int announced = stream.available();
            ByteArrayOutputStream bytes = new ByteArrayOutputStream();
            int drained = ((Drainable) stream).drainTo(bytes);
            if (drained != announced || bytes.size() != announced) {
                throw new AssertionError(
                        "announced "
                                + announced
                                + ", drained "
                                + drained
                                + ", got "
                                + bytes.size());
            }
            return bytes.toByteArray();
        }
    }

    /// A received message, through direct buffers that arrive in pieces of `piece` bytes.
    static FlightMessage parse(byte[] bytes, int piece) {
        return MARSHALLER.parse(new Pieces(bytes, piece));
    }

    /// A received message from a transport that knows no length and offers no buffers.
    static FlightMessage parsePlain(byte[] bytes) {
        return MARSHALLER.parse(new ByteArrayInputStream(bytes) {});
    }

    static FlightMessage parse(byte[] bytes) {
        return parse(bytes, Integer.MAX_VALUE);
    }

    /// Rows with 0 to 4 routes each, all values derived from `random`.
    static FlightMessage request(
            RowFormat format,
            int hidden,
            int experts,
            int rows,
            DispatchHeader header,
            Random random) {
        RequestWriter writer = new RequestWriter(POOL, format, hidden);
        int[] perRow = new int[rows];
        int routes = 0;
        for (int row = 0; row < rows; row++) {
            perRow[row] = random.nextInt(5);
            routes += perRow[row];
        }
        writer.start(rows, routes);
        byte[] row = new byte[format.rowBytes(hidden)];
        byte[] scales = new byte[format.scaleBytes(hidden)];
        for (int r = 0; r < rows; r++) {
            random.nextBytes(row);
            random.nextBytes(scales);
            if (format == RowFormat.Q8) {
                writer.row(segment(row), 0, segment(scales), 0);
            } else {
                writer.row(segment(row), 0);
            }
            for (int i = 0; i < perRow[r]; i++) {
                writer.route(random.nextInt(experts), random.nextFloat());
            }
        }
        return writer.finish(header);
    }

    static java.lang.foreign.MemorySegment segment(byte[] bytes) {
        return java.lang.foreign.MemorySegment.ofArray(bytes);
    }

    static byte[] bytes(java.lang.foreign.MemorySegment segment) {
        return segment.toArray(JAVA_BYTE);
    }

    private static final class Pieces extends ByteArrayInputStream
            implements KnownLength, HasByteBuffer {
        private final int piece;

        Pieces(byte[] bytes, int piece) {
            super(bytes);
            this.piece = piece;
        }

        @Override
        public boolean byteBufferSupported() {
            return true;
        }

        @Override
        public ByteBuffer getByteBuffer() {
            return ByteBuffer.wrap(buf, pos, Math.min(piece, count - pos)).asReadOnlyBuffer();
        }
    }
}

package io.atoll.proto.wire;

import io.atoll.proto.wire.FlightMessage.Part;
import io.grpc.Drainable;
import io.grpc.HasByteBuffer;
import io.grpc.KnownLength;
import io.grpc.MethodDescriptor;
import java.io.ByteArrayInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;

/// `FlightData` as protobuf writes it, moved between native memory and the transport without a heap copy of the message.
///
/// Incoming bytes go from the transport's buffers into a pooled one, every field at a 64-byte boundary. Outgoing bytes pass
/// through one small array a thread, because gRPC takes them as an `OutputStream`. A frame that does not parse becomes a
/// message with a [FlightMessage#problem], so that the stream's owner can refuse it by name.
final class FlightMessageMarshaller implements MethodDescriptor.Marshaller<FlightMessage> {
    private static final int WIRE_VARINT = 0;
    private static final int WIRE_FIXED64 = 1;
    private static final int WIRE_BYTES = 2;
    private static final int WIRE_FIXED32 = 5;

    private static final ThreadLocal<byte[]> SCRATCH =
            ThreadLocal.withInitial(() -> new byte[16 << 10]);

    private final WirePool pool;

    FlightMessageMarshaller(WirePool pool) {
        this.pool = pool;
    }

    @Override
    public InputStream stream(FlightMessage message) {
        return new Outgoing(message);
    }

    @Override
    public FlightMessage parse(InputStream stream) {
        try {
            InputStream sized = stream;
            if (!(stream instanceof KnownLength)) {
                sized = new ByteArrayInputStream(stream.readAllBytes()); // a compressed message
            }
            int size = sized.available();
            // Each of the four parts starts on a boundary of its own.
            long capacity = size + (long) Part.all().length * WirePool.ALIGNMENT;
            FlightMessage message = new FlightMessage(pool, pool.take(capacity));
            try {
                read(new Incoming(sized, size), message);
            } catch (MalformedMessageException malformed) {
                message.fail(malformed);
            }
            return message;
        } catch (IOException e) {
            throw new UncheckedIOException("reading a message from the transport", e);
        }
    }

    private static void read(Incoming in, FlightMessage message)
            throws IOException, MalformedMessageException {
        int offset = 0;
        int seen = 0;
        while (in.remaining > 0) {
            long key = in.varint();
            long field = key >>> 3;
            int wireType = (int) (key & 7);
            Part part = partOf(field);
            if (part == null) {
                skip(in, field, wireType);
                continue;
            }
            if (wireType != WIRE_BYTES) {
                throw new MalformedMessageException(
                        "FlightData." + part, "wire type " + wireType + ", expected 2");
            }
            if ((seen & (1 << part.slot)) != 0) {
                throw new MalformedMessageException("FlightData." + part, "occurs twice");
            }
            seen |= 1 << part.slot;
            int length = in.length(part.toString());
            in.copyTo(message.buffer().bytes, offset, length);
            message.place(part, offset, length);
            offset = (int) WirePool.align(offset + (long) length);
        }
    }

    private static Part partOf(long field) {
        for (Part part : Part.all()) {
            if (part.fieldNumber == field) {
                return part;
            }
        }
        return null;
    }

    private static void skip(Incoming in, long field, int wireType)
            throws IOException, MalformedMessageException {
        switch (wireType) {
            case WIRE_VARINT -> in.varint();
            case WIRE_FIXED64 -> in.skip(8);
            case WIRE_BYTES -> in.skip(in.length("field " + field));
            case WIRE_FIXED32 -> in.skip(4);
            default ->
                    throw new MalformedMessageException(
                            "FlightData.field " + field, "wire type " + wireType);
        }
    }

    /// The transport's bytes of one message.
    private static final class Incoming {
        private final InputStream in;
        private final HasByteBuffer direct; // null if the transport offers none
        private int remaining;

        Incoming(InputStream in, int size) {
            this.in = in;
            this.remaining = size;
            this.direct =
                    in instanceof HasByteBuffer buffers && buffers.byteBufferSupported()
                            ? buffers
                            : null;
        }

        private int readByte() throws IOException, MalformedMessageException {
            if (remaining == 0) {
                throw new MalformedMessageException("FlightData", "ends within a field");
            }
            int value = in.read();
            if (value < 0) {
                throw new EOFException("message is shorter than its length");
            }
            remaining--;
            return value;
        }

        long varint() throws IOException, MalformedMessageException {
            long value = 0;
            for (int shift = 0; shift < 64; shift += 7) {
                int next = readByte();
                value |= (long) (next & 0x7f) << shift;
                if (next < 0x80) {
                    return value;
                }
            }
            throw new MalformedMessageException("FlightData", "varint longer than 10 bytes");
        }

        int length(String field) throws IOException, MalformedMessageException {
            long length = varint();
            if (length < 0 || length > remaining) {
                throw new MalformedMessageException(
                        "FlightData." + field, "length " + length + " with " + remaining + " left");
            }
            return (int) length;
        }

        void skip(int count) throws IOException, MalformedMessageException {
            if (count > remaining) {
                throw new MalformedMessageException("FlightData", "ends within a field");
            }
            in.skipNBytes(count);
            remaining -= count;
        }

        void copyTo(ByteBuffer target, int offset, int length) throws IOException {
            int done = 0;
            while (done < length) {
                int count;
                ByteBuffer source = direct == null ? null : direct.getByteBuffer();
                if (source != null && source.hasRemaining()) {
                    count = Math.min(source.remaining(), length - done);
                    target.put(offset + done, source, source.position(), count);
                    in.skipNBytes(count);
                } else {
                    byte[] scratch = SCRATCH.get();
                    count = in.read(scratch, 0, Math.min(scratch.length, length - done));
                    if (count <= 0) {
                        throw new EOFException("message is shorter than its length");
                    }
                    target.put(offset + done, scratch, 0, count);
                }
                done += count;
            }
            remaining -= length;
        }
    }

    /// A message on its way out; drained once.
    private static final class Outgoing extends InputStream implements Drainable, KnownLength {
        private final FlightMessage message;
        private int left;

        Outgoing(FlightMessage message) {
            this.message = message;
            int size = 0;
            for (Part part : Part.all()) {
                int length = message.length(part);
                if (length > 0) {
                    size += varintBytes(key(part)) + varintBytes(length) + length;
                }
            }
            this.left = size;
        }

        @Override
        public int available() {
            return left;
        }

        @Override
        public int read() {
            throw new UnsupportedOperationException("gRPC drains messages");
        }

        @Override
        public int read(byte[] target, int offset, int length) {
            throw new UnsupportedOperationException("gRPC drains messages");
        }

        @Override
        public int drainTo(OutputStream target) throws IOException {
            byte[] scratch = SCRATCH.get();
            ByteBuffer bytes = message.buffer().bytes;
            for (Part part : Part.all()) {
                int length = message.length(part);
                if (length == 0) {
                    continue;
                }
                int prefix = putVarint(scratch, 0, key(part));
                prefix = putVarint(scratch, prefix, length);
                target.write(scratch, 0, prefix);
                int offset = message.offset(part);
                for (int done = 0; done < length; ) {
                    int count = Math.min(scratch.length, length - done);
                    bytes.get(offset + done, scratch, 0, count);
                    target.write(scratch, 0, count);
                    done += count;
                }
            }
            int drained = left;
            left = 0;
            message.close();
            return drained;
        }

        private static int key(Part part) {
            return part.fieldNumber << 3 | WIRE_BYTES;
        }

        private static int varintBytes(int value) {
            return value == 0 ? 1 : (38 - Integer.numberOfLeadingZeros(value)) / 7;
        }

        private static int putVarint(byte[] target, int offset, int value) {
            int at = offset;
            int rest = value;
            while (rest >= 0x80) {
                target[at++] = (byte) (rest | 0x80);
                rest >>>= 7;
            }
            target[at++] = (byte) rest;
            return at;
        }
    }
}

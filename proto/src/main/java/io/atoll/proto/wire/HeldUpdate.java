package io.atoll.proto.wire;

import com.google.protobuf.InvalidProtocolBufferException;
import io.atoll.proto.v1.HelloReply;
import io.atoll.proto.wire.FlightMessage.Part;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/// A message on an exact stream, from worker to attention worker, that answers no dispatch: the worker holds other experts
/// than it has said so far. Its `app_metadata` is the magic `ATH1`, little-endian, and then a `HelloReply`.
///
/// It precedes every refusal that is due to the change.
public final class HeldUpdate {
    private static final int MAGIC = 0x31485441; // "ATH1"

    private HeldUpdate() {}

    /// The message.
    public static FlightMessage of(WirePool pool, HelloReply reply) {
        byte[] body = reply.toByteArray();
        byte[] metadata = new byte[Integer.BYTES + body.length];
        ByteBuffer.wrap(metadata).order(ByteOrder.LITTLE_ENDIAN).putInt(MAGIC).put(body);
        return FlightMessage.of(pool, new byte[0], new byte[0], metadata);
    }

    /// Whether a message is one.
    public static boolean is(FlightMessage message) {
        return message.length(Part.METADATA) >= Integer.BYTES
                && message.buffer().bytes.getInt(message.offset(Part.METADATA)) == MAGIC;
    }

    /// What a message that is one says.
    public static HelloReply read(FlightMessage message) throws MalformedMessageException {
        byte[] metadata = message.metadata();
        try {
            return HelloReply.parser()
                    .parseFrom(metadata, Integer.BYTES, metadata.length - Integer.BYTES);
        } catch (InvalidProtocolBufferException e) {
            throw new MalformedMessageException("held", String.valueOf(e.getMessage()));
        }
    }
}

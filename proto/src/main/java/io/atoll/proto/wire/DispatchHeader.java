package io.atoll.proto.wire;

import io.atoll.proto.wire.FlightMessage.Part;
import java.nio.ByteBuffer;

/// What travels beside the rows of a dispatch, in `app_metadata`: 40 bytes, little-endian.
///
/// | offset | type | field |
/// | --- | --- | --- |
/// | 0 | u32 | magic `ATD1` |
/// | 4 | u32 | layer |
/// | 8 | u64 | dispatch |
/// | 16 | u32 | first row |
/// | 20 | u32 | rows |
/// | 24 | i64 | microseconds until the deadline, counted by the sender |
/// | 32 | u64 | reserved, 0 |
///
/// @param layer decoder layer of all rows of this message
/// @param dispatch number of the dispatch, chosen by the sender; comes back with the reply
/// @param firstRow number of this message's first row among all rows the dispatch has sent, resent ones included: with
///     `dispatch`, it names the message
/// @param rows rows of this message
/// @param remainingMicros time left; 0 or less is past the deadline
public record DispatchHeader(
        int layer, long dispatch, int firstRow, int rows, long remainingMicros) {
    static final int BYTES = 40;

    private static final int MAGIC = 0x31445441; // "ATD1"

    static DispatchHeader read(FlightMessage message) throws MalformedMessageException {
        if (message.length(Part.METADATA) != BYTES) {
            throw new MalformedMessageException(
                    "app_metadata", message.length(Part.METADATA) + " bytes, expected " + BYTES);
        }
        ByteBuffer bytes = message.buffer().bytes;
        int at = message.offset(Part.METADATA);
        if (bytes.getInt(at) != MAGIC) {
            throw new MalformedMessageException(
                    "app_metadata.magic", Integer.toHexString(bytes.getInt(at)));
        }
        DispatchHeader header =
                new DispatchHeader(
                        bytes.getInt(at + 4),
                        bytes.getLong(at + 8),
                        bytes.getInt(at + 16),
                        bytes.getInt(at + 20),
                        bytes.getLong(at + 24));
        if (header.layer < 0 || header.firstRow < 0 || header.rows <= 0) {
            throw new MalformedMessageException("app_metadata", header.toString());
        }
        return header;
    }

    void write(ByteBuffer bytes, int at) {
        bytes.putInt(at, MAGIC);
        bytes.putInt(at + 4, layer);
        bytes.putLong(at + 8, dispatch);
        bytes.putInt(at + 16, firstRow);
        bytes.putInt(at + 20, rows);
        bytes.putLong(at + 24, remainingMicros);
        bytes.putLong(at + 32, 0);
    }
}

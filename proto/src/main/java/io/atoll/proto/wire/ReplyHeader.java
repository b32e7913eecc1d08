package io.atoll.proto.wire;

import io.atoll.proto.ErrorCode;
import io.atoll.proto.Failure;
import io.atoll.proto.wire.FlightMessage.Part;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/// What travels beside the sums of a dispatch, in `app_metadata`, little-endian: 64 bytes, after an error followed by the
/// error's code and message as UTF-8.
///
/// | offset | type | field |
/// | --- | --- | --- |
/// | 0 | u32 | magic `ATR1` |
/// | 4 | u32 | rows |
/// | 8 | u64 | dispatch |
/// | 16 | u32 | first row |
/// | 20 | u16, u16 | bytes of the error's code, 0 for sums, and of its message |
/// | 24 | i64 | nanoseconds in the queue |
/// | 32 | i64 | nanoseconds of compute |
/// | 40 | i64 | bytes of the request |
/// | 48 | i64 | bytes of weights that the pass read, shared with the other messages of its batch |
/// | 56 | u64 | reserved, 0 |
///
/// @param dispatch the request's
/// @param firstRow the request's
/// @param rows the request's
/// @param queueNanos from arrival until its batch began
/// @param computeNanos of the batch that had it
/// @param requestBytes size of the request as it came
/// @param weightBytes expert weights read for the batch that had it
public record ReplyHeader(
        long dispatch,
        int firstRow,
        int rows,
        long queueNanos,
        long computeNanos,
        long requestBytes,
        long weightBytes) {
    static final int BYTES = 64;

    private static final int MAGIC = 0x31525441; // "ATR1"

    /// Longest error text that travels.
    private static final int MAX_TEXT = 1024;

    /// A reply that is an error about one dispatch; the stream goes on.
    public FlightMessage error(WirePool pool, Failure failure) {
        byte[] code = failure.code().name().getBytes(StandardCharsets.UTF_8);
        byte[] text = shortened(failure.message()).getBytes(StandardCharsets.UTF_8);
        byte[] metadata = new byte[BYTES + code.length + text.length];
        ByteBuffer bytes = ByteBuffer.wrap(metadata).order(ByteOrder.LITTLE_ENDIAN);
        write(bytes, 0);
        bytes.putShort(20, (short) code.length);
        bytes.putShort(22, (short) text.length);
        bytes.put(BYTES, code);
        bytes.put(BYTES + code.length, text);
        return FlightMessage.of(pool, new byte[0], new byte[0], metadata);
    }

    private static String shortened(String text) {
        return text.length() <= MAX_TEXT / 4 ? text : text.substring(0, MAX_TEXT / 4);
    }

    void write(ByteBuffer bytes, int at) {
        bytes.putInt(at, MAGIC);
        bytes.putInt(at + 4, rows);
        bytes.putLong(at + 8, dispatch);
        bytes.putInt(at + 16, firstRow);
        bytes.putInt(at + 20, 0);
        bytes.putLong(at + 24, queueNanos);
        bytes.putLong(at + 32, computeNanos);
        bytes.putLong(at + 40, requestBytes);
        bytes.putLong(at + 48, weightBytes);
        bytes.putLong(at + 56, 0);
    }

    static ReplyHeader read(FlightMessage message) throws MalformedMessageException {
        if (message.length(Part.METADATA) < BYTES) {
            throw new MalformedMessageException(
                    "app_metadata",
                    message.length(Part.METADATA) + " bytes, expected at least " + BYTES);
        }
        ByteBuffer bytes = message.buffer().bytes;
        int at = message.offset(Part.METADATA);
        if (bytes.getInt(at) != MAGIC) {
            throw new MalformedMessageException(
                    "app_metadata.magic", Integer.toHexString(bytes.getInt(at)));
        }
        return new ReplyHeader(
                bytes.getLong(at + 8),
                bytes.getInt(at + 16),
                bytes.getInt(at + 4),
                bytes.getLong(at + 24),
                bytes.getLong(at + 32),
                bytes.getLong(at + 40),
                bytes.getLong(at + 48));
    }

    /// Whether the reply is an error.
    static boolean isError(FlightMessage message) {
        return message.buffer().bytes.getShort(message.offset(Part.METADATA) + 20) != 0;
    }

    /// The error of a reply that is one. A code that this version does not know reads as `INTERNAL`.
    static Failure failure(FlightMessage message) throws MalformedMessageException {
        ByteBuffer bytes = message.view(Part.METADATA);
        int codeBytes = Short.toUnsignedInt(bytes.getShort(20));
        int textBytes = Short.toUnsignedInt(bytes.getShort(22));
        if (BYTES + codeBytes + textBytes != bytes.capacity()) {
            throw new MalformedMessageException(
                    "app_metadata.error",
                    codeBytes + " + " + textBytes + " bytes of text in " + bytes.capacity());
        }
        byte[] all = message.metadata();
        String code = new String(all, BYTES, codeBytes, StandardCharsets.UTF_8);
        String text = new String(all, BYTES + codeBytes, textBytes, StandardCharsets.UTF_8);
        for (ErrorCode known : ErrorCode.values()) {
            if (known.name().equals(code)) {
                return new Failure(known, text);
            }
        }
        return new Failure(ErrorCode.INTERNAL, code + ": " + text);
    }
}

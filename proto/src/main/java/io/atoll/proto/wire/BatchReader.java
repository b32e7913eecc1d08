package io.atoll.proto.wire;

import io.atoll.proto.wire.FlightMessage.Part;
import org.apache.arrow.flatbuf.Buffer;
import org.apache.arrow.flatbuf.FieldNode;
import org.apache.arrow.flatbuf.Message;
import org.apache.arrow.flatbuf.MessageHeader;
import org.apache.arrow.flatbuf.MetadataVersion;
import org.apache.arrow.flatbuf.RecordBatch;

/// Walks the nodes and buffers of a record batch in order and checks each against the body. One thread; reused for message
/// after message.
///
/// Its methods throw [IndexOutOfBoundsException] where the metadata points outside itself; callers turn that into
/// [ArrowSchemas#outside].
final class BatchReader {
    private final Message root = new Message();
    private final RecordBatch batch = new RecordBatch();
    private final FieldNode node = new FieldNode();
    private final Buffer buffer = new Buffer();
    private int nextNode;
    private int nextBuffer;
    private long bodyOffset;
    private long bodyBytes;

    /// Opens a batch of exactly this many nodes and buffers, and gives its number of rows, at least 1.
    int open(FlightMessage message, int nodes, int buffers) throws MalformedMessageException {
        if (!message.hasHeader()) {
            throw new MalformedMessageException("data_header", "missing, expected a record batch");
        }
        Message.getRootAsMessage(message.view(Part.HEADER), root);
        short version = root.version();
        if (version != MetadataVersion.V5 && version != MetadataVersion.V4) {
            throw new MalformedMessageException("data_header.version", "" + version);
        }
        if (root.headerType() != MessageHeader.RecordBatch) {
            throw new MalformedMessageException(
                    "data_header", "message of type " + root.headerType() + ", not a record batch");
        }
        bodyOffset = message.offset(Part.BODY);
        bodyBytes = message.bodyBytes();
        expect("data_header.bodyLength", root.bodyLength(), bodyBytes);
        if (root.header(batch) == null) {
            throw new MalformedMessageException("data_header.header", "missing");
        }
        if (batch.compression() != null) {
            throw new MalformedMessageException("batch.compression", "not supported");
        }
        expect("batch.nodes", batch.nodesLength(), nodes);
        expect("batch.buffers", batch.buffersLength(), buffers);
        long rows = batch.length();
        // A row takes at least one byte of the body, which bounds what a batch can make us do.
        if (rows <= 0 || rows > bodyBytes) {
            throw new MalformedMessageException(
                    "batch.length", rows + " rows in a body of " + bodyBytes + " bytes");
        }
        nextNode = 0;
        nextBuffer = 0;
        return (int) rows;
    }

    /// The next node, of exactly `length` elements; skips its validity buffer.
    void node(String field, long length) throws MalformedMessageException {
        expect(field + ".length", node(field), length);
    }

    /// The next node's length; skips its validity buffer.
    int node(String field) throws MalformedMessageException {
        if (batch.nodes(node, nextNode++) == null) {
            throw new MalformedMessageException(field, "node missing");
        }
        if (node.nullCount() != 0) {
            throw new MalformedMessageException(field + ".nullCount", node.nullCount() + " nulls");
        }
        long length = node.length();
        // Every element of every column takes at least a byte of the body.
        if (length < 0 || length > bodyBytes) {
            throw new MalformedMessageException(
                    field + ".length", length + " in a body of " + bodyBytes + " bytes");
        }
        buffer(field + ".validity", 0);
        return (int) length;
    }

    /// Checks the next buffer, of at least `bytes`, and gives its offset in the message's memory.
    long buffer(String field, long bytes) throws MalformedMessageException {
        if (batch.buffers(buffer, nextBuffer++) == null) {
            throw new MalformedMessageException(field, "buffer missing");
        }
        long offset = buffer.offset();
        long length = buffer.length();
        if (offset < 0 || length < 0 || offset > bodyBytes || length > bodyBytes - offset) {
            throw new MalformedMessageException(
                    field, "offset " + offset + " length " + length + " in a body of " + bodyBytes);
        }
        if (offset % Long.BYTES != 0) {
            throw new MalformedMessageException(field, "offset " + offset + " not 8-byte aligned");
        }
        if (length < bytes) {
            throw new MalformedMessageException(field, length + " bytes, expected " + bytes);
        }
        return bodyOffset + offset;
    }

    private static void expect(String what, long actual, long expected)
            throws MalformedMessageException {
        if (actual != expected) {
            throw new MalformedMessageException(what, actual + ", expected " + expected);
        }
    }
}

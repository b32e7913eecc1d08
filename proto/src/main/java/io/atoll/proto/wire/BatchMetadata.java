package io.atoll.proto.wire;

import com.google.flatbuffers.FlatBufferBuilder;
import java.nio.ByteBuffer;
import org.apache.arrow.flatbuf.Buffer;
import org.apache.arrow.flatbuf.FieldNode;
import org.apache.arrow.flatbuf.Message;
import org.apache.arrow.flatbuf.MessageHeader;
import org.apache.arrow.flatbuf.MetadataVersion;
import org.apache.arrow.flatbuf.RecordBatch;

/// Collects the nodes and buffers of a record batch while its body is laid out, and writes the Arrow metadata. One thread;
/// reused for message after message.
final class BatchMetadata {
    private static final int MAX_BUFFERS = 16;

    private final FlatBufferBuilder out = new FlatBufferBuilder(1024);
    private final long[] nodeLengths = new long[MAX_BUFFERS];
    private final long[] bufferOffsets = new long[MAX_BUFFERS];
    private final long[] bufferLengths = new long[MAX_BUFFERS];
    private int nodes;
    private int buffers;
    private long bodyBytes;

    void start() {
        nodes = 0;
        buffers = 0;
        bodyBytes = 0;
    }

    /// A column or child of `length` elements, none of them null, and its empty validity buffer.
    void node(long length) {
        nodeLengths[nodes++] = length;
        buffer(0);
    }

    /// Adds a buffer and gives its offset in the body.
    long buffer(long bytes) {
        long offset = bodyBytes;
        bufferOffsets[buffers] = offset;
        bufferLengths[buffers++] = bytes;
        bodyBytes = WirePool.align(offset + bytes);
        return offset;
    }

    long bodyBytes() {
        return bodyBytes;
    }

    /// Room that [#write] may need: 16 bytes for each node and buffer, and the tables around them.
    static int maxBytes() {
        return 2 * MAX_BUFFERS * 16 + 256;
    }

    /// Writes the metadata and gives its length.
    int write(long rows, ByteBuffer target, int offset) {
        out.clear();
        RecordBatch.startBuffersVector(out, buffers);
        for (int i = buffers - 1; i >= 0; i--) {
            Buffer.createBuffer(out, bufferOffsets[i], bufferLengths[i]);
        }
        int bufferVector = out.endVector();
        RecordBatch.startNodesVector(out, nodes);
        for (int i = nodes - 1; i >= 0; i--) {
            FieldNode.createFieldNode(out, nodeLengths[i], 0);
        }
        int nodeVector = out.endVector();
        int batch = RecordBatch.createRecordBatch(out, rows, nodeVector, bufferVector, 0, 0);
        Message.finishMessageBuffer(
                out,
                Message.createMessage(
                        out, MetadataVersion.V5, MessageHeader.RecordBatch, batch, bodyBytes, 0));
        ByteBuffer bytes = out.dataBuffer();
        int length = bytes.remaining();
        target.put(offset, bytes, bytes.position(), length);
        return length;
    }
}

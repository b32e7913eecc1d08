package io.atoll.proto.wire;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayDeque;

/// Native buffers for messages, in sizes of powers of two, each lent to one owner at a time and taken back for reuse.
///
/// The memory belongs to the garbage collector, not to an arena that is closed: gRPC drops messages of a cancelled stream
/// without telling anyone, and a buffer that never comes back must neither leak nor be freed under a reader. The pool keeps
/// at most [#RETAINED_BYTES] for reuse. Safe for any thread.
public final class WirePool {
    /// Largest buffer that is lent.
    public static final int MAX_BYTES = 16 << 20;

    /// Alignment of every field of a message, and of every buffer of a body that we write.
    public static final int ALIGNMENT = 64;

    static final long RETAINED_BYTES = 64 << 20;

    private static final int MIN_BYTES = 4 << 10;

    private final ArrayDeque<Buffer>[] free;
    private long retainedBytes;

    public WirePool() {
        int classes = sizeClass(MAX_BYTES) + 1;
        @SuppressWarnings({
            "unchecked",
            "rawtypes"
        }) // an array of a generic type cannot be made otherwise
        ArrayDeque<Buffer>[] queues = new ArrayDeque[classes];
        for (int i = 0; i < classes; i++) {
            queues[i] = new ArrayDeque<>();
        }
        free = queues;
    }

    /// Lends a buffer of at least `bytes`. Its content is whatever was there.
    ///
    /// @throws IllegalArgumentException past [#MAX_BYTES]
    Buffer take(long bytes) {
        if (bytes > MAX_BYTES) {
            throw new IllegalArgumentException(
                    "message buffer of " + bytes + " bytes, at most " + MAX_BYTES);
        }
        int sizeClass = sizeClass((int) bytes);
        synchronized (this) {
            Buffer buffer = free[sizeClass].pollFirst();
            if (buffer != null) {
                retainedBytes -= buffer.bytes.capacity();
                return buffer;
            }
        }
        return new Buffer(sizeClass);
    }

    void giveBack(Buffer buffer) {
        synchronized (this) {
            if (retainedBytes + buffer.bytes.capacity() <= RETAINED_BYTES) {
                retainedBytes += buffer.bytes.capacity();
                free[buffer.sizeClass].addFirst(buffer);
            }
        }
    }

    /// Bytes that wait for reuse.
    synchronized long retainedBytes() {
        return retainedBytes;
    }

    private static int sizeClass(int bytes) {
        int units = (Math.max(bytes, 1) + MIN_BYTES - 1) / MIN_BYTES;
        return 32 - Integer.numberOfLeadingZeros(units - 1);
    }

    static long align(long offset) {
        return (offset + ALIGNMENT - 1) & -ALIGNMENT;
    }

    /// A lent buffer: one piece of native memory, seen as a segment and as a byte buffer.
    static final class Buffer {
        final MemorySegment segment;
        final ByteBuffer bytes;
        private final int sizeClass;

        private Buffer(int sizeClass) {
            this.sizeClass = sizeClass;
            segment = Arena.ofAuto().allocate((long) MIN_BYTES << sizeClass, ALIGNMENT);
            bytes = segment.asByteBuffer().order(ByteOrder.LITTLE_ENDIAN);
        }
    }
}

package io.atoll.attention.state;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;

/// Zeroed memory that the operating system backs with pages when they are first touched.
///
/// [Arena#allocate] writes its zeros at once, so a pool for many long sequences would take its whole size at start; most of
/// it may never be used.
public final class LazyMemory {
    private static final int PROT_READ_WRITE = 1 | 2;
    private static final int MAP_PRIVATE_ANONYMOUS = 2 | 0x20;

    private static final Linker LINKER = Linker.nativeLinker();
    private static final MethodHandle MMAP =
            LINKER.downcallHandle(
                    LINKER.defaultLookup().findOrThrow("mmap"),
                    FunctionDescriptor.of(
                            ValueLayout.ADDRESS,
                            ValueLayout.ADDRESS,
                            ValueLayout.JAVA_LONG,
                            ValueLayout.JAVA_INT,
                            ValueLayout.JAVA_INT,
                            ValueLayout.JAVA_INT,
                            ValueLayout.JAVA_LONG));
    private static final MethodHandle MUNMAP =
            LINKER.downcallHandle(
                    LINKER.defaultLookup().findOrThrow("munmap"),
                    FunctionDescriptor.of(
                            ValueLayout.JAVA_INT, ValueLayout.ADDRESS, ValueLayout.JAVA_LONG));

    private LazyMemory() {}

    /// Page-aligned zeros, given back when `arena` closes.
    ///
    /// @throws OutOfMemoryError if the operating system refuses: more than the machine could ever hold
    public static MemorySegment allocate(long bytes, String purpose, Arena arena) {
        if (bytes == 0) {
            return MemorySegment.NULL;
        }
        MemorySegment mapped;
        try {
            mapped =
                    (MemorySegment)
                            MMAP.invokeExact(
                                    MemorySegment.NULL,
                                    bytes,
                                    PROT_READ_WRITE,
                                    MAP_PRIVATE_ANONYMOUS,
                                    -1,
                                    0L);
        } catch (Throwable e) {
            throw new IllegalStateException("mmap could not be called", e);
        }
        if (mapped.address() == -1) {
            throw new OutOfMemoryError("cannot map " + bytes + " bytes for " + purpose);
        }
        return mapped.reinterpret(bytes, arena, memory -> unmap(memory, bytes));
    }

    private static void unmap(MemorySegment memory, long bytes) {
        try {
            int ignored = (int) MUNMAP.invokeExact(memory, bytes);
        } catch (Throwable e) {
            throw new IllegalStateException("munmap could not be called", e);
        }
    }
}

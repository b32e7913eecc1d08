package io.atoll.kernels.nativecode;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.Locale;
import java.util.Optional;

/// What a program can tell Linux about its memory (`madvise(2)`). Elsewhere nothing is told, and nothing depends on it.
public final class PageAdvice {
    private static final int DONT_NEED = 4;
    private static final Optional<MethodHandle> MADVISE = madvise();

    private PageAdvice() {}

    /// Takes the pages of a mapped file out of this process's memory. The segment stays valid: a page that is read again comes
    /// from the system's cache, or from the disk.
    ///
    /// @param mapped a whole mapping, read-only; writes would be lost
    public static void release(MemorySegment mapped) {
        if (!mapped.isMapped() || !mapped.isReadOnly()) {
            throw new IllegalArgumentException("not a mapped file that is only read: " + mapped);
        }
        if (MADVISE.isPresent() && mapped.byteSize() > 0) {
            try {
                // A failure changes nothing but the memory taken, so there is nothing to do about
                // it.
                int _ = (int) MADVISE.get().invokeExact(mapped, mapped.byteSize(), DONT_NEED);
            } catch (Throwable e) {
                throw new IllegalStateException("madvise cannot be called", e);
            }
        }
    }

    private static Optional<MethodHandle> madvise() {
        if (!System.getProperty("os.name").toLowerCase(Locale.ROOT).equals("linux")) {
            return Optional.empty();
        }
        Linker linker = Linker.nativeLinker();
        return linker.defaultLookup()
                .find("madvise")
                .map(
                        address ->
                                linker.downcallHandle(
                                        address,
                                        FunctionDescriptor.of(
                                                JAVA_INT, ADDRESS, JAVA_LONG, JAVA_INT)));
    }
}

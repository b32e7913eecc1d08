package io.atoll.kernels.cuda;

import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;

/// A CPU in the place of a GPU, for checks on machines without one: the same kernels, compiled as C++, behind a library that looks like the
/// driver's (`src/main/cuda/stand-in`). Slow, and right.
public final class StandIn {
    private static final String RESOURCE = "/native/linux-x86_64/stand-in/libcuda.so.1";

    /// CUDA's code for a device that does not answer any more.
    public static final int DEVICE_LOST = 46;

    /// CUDA's code for a lack of memory.
    public static final int OUT_OF_MEMORY = 2;

    private static boolean loaded;

    private StandIn() {}

    /// A driver call that can be made to fail.
    public enum Call {
        ANY(0),
        ALLOCATION(1),
        LAUNCH(2),
        SYNCHRONIZATION(3);

        private final int number; // in driver.cpp

        Call(int number) {
            this.number = number;
        }
    }

    /// Whether this build has one: it takes a C++ compiler.
    public static boolean isPresent() {
        return StandIn.class.getResource(RESOURCE) != null;
    }

    /// Takes the place of the driver in this process. Comes before the first look for GPUs.
    ///
    /// @throws IOException if there is none, or it can't be loaded
    public static synchronized void load() throws IOException {
        if (loaded) {
            return;
        }
        try (InputStream library = StandIn.class.getResourceAsStream(RESOURCE)) {
            if (library == null) {
                throw new IOException(
                        "this build has no stand-in for GPUs: it was made without a C++ compiler");
            }
            // Libraries that need libcuda.so.1 get the one of that name that is there already.
            Path directory = Files.createTempDirectory("atoll-stand-in-");
            Path file = directory.resolve("libcuda.so.1");
            try {
                Files.copy(library, file);
                System.load(file.toString());
            } catch (UnsatisfiedLinkError e) {
                throw new IOException("the stand-in for GPUs can't be loaded", e);
            } finally {
                Files.deleteIfExists(file);
                Files.delete(directory);
            }
        }
        loaded = true;
    }

    /// Makes calls fail from now on.
    ///
    /// @param after so many calls succeed before
    /// @param code what they fail with; 0 lets all succeed again
    public static void fail(Call call, int after, int code) {
        MethodHandle fail =
                function(
                        "stand_in_fail",
                        FunctionDescriptor.ofVoid(
                                ValueLayout.JAVA_INT, ValueLayout.JAVA_INT, ValueLayout.JAVA_INT));
        try {
            fail.invokeExact(call.number, after, code);
        } catch (Throwable e) {
            throw new IllegalStateException("the stand-in does not answer", e);
        }
    }

    /// Calls that have failed since the last [#fail].
    public static int failures() {
        MethodHandle failures =
                function("stand_in_failures", FunctionDescriptor.of(ValueLayout.JAVA_INT));
        try {
            return (int) failures.invokeExact();
        } catch (Throwable e) {
            throw new IllegalStateException("the stand-in does not answer", e);
        }
    }

    private static MethodHandle function(String name, FunctionDescriptor descriptor) {
        return Linker.nativeLinker()
                .downcallHandle(SymbolLookup.loaderLookup().findOrThrow(name), descriptor);
    }
}

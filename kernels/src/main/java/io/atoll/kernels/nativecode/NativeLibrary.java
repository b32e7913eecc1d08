package io.atoll.kernels.nativecode;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import io.atoll.kernels.KernelClass;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.net.URI;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// The shared library with the C kernels: one for the process, loaded on first use and never unloaded.
final class NativeLibrary {
    private static final Logger log = LoggerFactory.getLogger(NativeLibrary.class);
    private static final String NAME = "libatoll_kernels.so";
    private static final Optional<NativeLibrary> LOADED = load();

    private final MethodHandle functions;
    private final MethodHandle hasExtension;

    private NativeLibrary(SymbolLookup symbols) {
        Linker linker = Linker.nativeLinker();
        functions =
                linker.downcallHandle(
                        symbols.findOrThrow("atoll_functions"),
                        FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT, ADDRESS));
        hasExtension =
                linker.downcallHandle(
                        symbols.findOrThrow("atoll_has_extension"),
                        FunctionDescriptor.of(JAVA_INT, JAVA_INT));
    }

    /// Empty if there is none for this machine, or it cannot be loaded.
    static Optional<NativeLibrary> instance() {
        return LOADED;
    }

    /// Whether the processor has byte dot products beside the instructions of a class.
    boolean hasExtension(KernelClass kernelClass) {
        try {
            return (int) hasExtension.invokeExact(variant(kernelClass)) != 0;
        } catch (Throwable e) {
            throw new IllegalStateException("call of the kernel library failed", e);
        }
    }

    /// The functions of a class in the library's order, or nothing if the processor cannot run them.
    ///
    /// @param extended whether those that use the extension replace the others, if the processor has it
    Optional<MemorySegment[]> functions(KernelClass kernelClass, boolean extended, int expected) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment table = arena.allocate(ADDRESS, expected);
            int found = (int) functions.invokeExact(variant(kernelClass), extended ? 1 : 0, table);
            if (found != expected) {
                throw new IllegalStateException(
                        "library of another version: functions=" + found + " expected=" + expected);
            }
            MemorySegment[] addresses = new MemorySegment[expected];
            for (int i = 0; i < expected; i++) {
                addresses[i] = table.getAtIndex(ADDRESS, i);
            }
            return addresses[0].equals(MemorySegment.NULL)
                    ? Optional.empty()
                    : Optional.of(addresses);
        } catch (RuntimeException e) {
            throw e;
        } catch (Throwable e) {
            throw new IllegalStateException("call of the kernel library failed", e);
        }
    }

    /// `enum variant` of atoll_kernels.c.
    private static int variant(KernelClass kernelClass) {
        return switch (kernelClass) {
            case C_GENERIC -> 0;
            case C_NEON -> 1;
            case C_AVX2 -> 2;
            case C_AVX512 -> 3;
            case SCALAR, VECTOR ->
                    throw new IllegalArgumentException("not in the library: " + kernelClass);
        };
    }

    private static Optional<NativeLibrary> load() {
        String resource = "/native/linux-" + architecture() + "/" + NAME;
        URL url = NativeLibrary.class.getResource(resource);
        if (url == null) {
            log.info("no C kernels for this machine: resource={}", resource);
            return Optional.empty();
        }
        try {
            return Optional.of(new NativeLibrary(open(url)));
        } catch (
                Throwable e) { // a library for another C runtime fails in many ways, and there is a
            // twin to use
            log.warn("the C kernels cannot be loaded: resource={}", url, e);
            return Optional.empty();
        }
    }

    private static String architecture() {
        String name = System.getProperty("os.arch");
        return name.equals("amd64") ? "x86_64" : name;
    }

    private static SymbolLookup open(URL url) throws IOException {
        if (url.getProtocol().equals("file")) {
            return SymbolLookup.libraryLookup(Path.of(URI.create(url.toString())), Arena.global());
        }
        // The directory is readable by this user alone; once loaded, the file is no longer needed.
        Path directory = Files.createTempDirectory("atoll-kernels-");
        Path file = directory.resolve(NAME);
        try {
            try (InputStream in = url.openStream()) {
                Files.copy(in, file);
            }
            return SymbolLookup.libraryLookup(file, Arena.global());
        } finally {
            Files.deleteIfExists(file);
            Files.delete(directory);
        }
    }
}

package io.atoll.kernels;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Optional;
import org.junit.jupiter.api.Test;

final class KernelLibraryTest {
    @Test
    void everyAvailableClassCanBeForcedByItsLabel() {
        for (KernelClass kernelClass : KernelLibrary.available()) {
            Kernels kernels = KernelLibrary.select(Optional.of(kernelClass.label()));
            assertEquals(kernelClass, kernels.kernelClass());
            assertTrue(kernels.toString().startsWith(kernelClass.label()), kernels.toString());
        }
    }

    @Test
    void bestClassIsTakenUnlessOneIsForced() {
        assertEquals(
                KernelLibrary.available().getLast(),
                KernelLibrary.select(Optional.empty()).kernelClass());
    }

    @Test
    void scalarAndVectorRunEverywhere() {
        assertTrue(KernelLibrary.available().contains(KernelClass.SCALAR));
        assertTrue(KernelLibrary.available().contains(KernelClass.VECTOR));
    }

    @Test
    void unknownLabelIsAnErrorThatNamesWhatThereIs() {
        String message =
                assertThrows(
                                KernelUnavailableException.class,
                                () -> KernelLibrary.select(Optional.of("c-sse")))
                        .getMessage();
        assertTrue(message.contains("'c-sse'") && message.contains("scalar"), message);
    }

    @Test
    void descriptionNamesClassArithmeticAndThreads() {
        Kernels scalar = KernelLibrary.select(Optional.of("scalar"));
        assertEquals(
                "kernels scalar, arithmetic cpu-1, 2 threads", KernelLibrary.describe(scalar, 2));
        assertEquals(
                "kernels scalar, arithmetic cpu-1, 1 thread", KernelLibrary.describe(scalar, 1));
    }

    @Test
    void segmentThatIsTooSmallIsRefusedByEveryClass() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment small = arena.allocate(4 * 15, 4);
            MemorySegment large = arena.allocate(4 * 16, 4);
            for (KernelClass kernelClass : KernelLibrary.available()) {
                Kernels kernels = KernelLibrary.select(Optional.of(kernelClass.label()));
                assertThrows(
                        IndexOutOfBoundsException.class,
                        () -> kernels.add(large, small, 16),
                        kernelClass.label());
            }
        }
    }
}

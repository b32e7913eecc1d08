package io.atoll.cli.gpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.atoll.cli.Main;
import io.atoll.expert.store.ExpertStore;
import io.atoll.kernels.KernelLibrary;
import io.atoll.kernels.WeightFormat;
import io.atoll.kernels.cuda.Cuda;
import io.atoll.kernels.cuda.CudaException;
import io.atoll.kernels.cuda.StandIn;
import io.atoll.kernels.cuda.StandIn.Call;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/// The kernels of GPUs through the stand-in: every format, and what may go wrong on a device.
class CheckedExpertsTest {
    private static List<Cuda.Device> devices = List.of();

    @BeforeAll
    static void standIn() throws IOException {
        assumeTrue(StandIn.isPresent(), "this build has no stand-in for GPUs: no C++ compiler");
        StandIn.load();
        devices = assertInstanceOf(Cuda.Availability.Usable.class, Cuda.probe()).devices();
    }

    @AfterEach
    void mend() {
        StandIn.fail(Call.ANY, 0, 0);
    }

    private static CheckedExperts experts(WeightFormat format, int hidden, int intermediate) {
        ExpertStore store = CheckedExperts.random(format, format, hidden, intermediate, 4, 3);
        return new CheckedExperts(store, KernelLibrary.select(Optional.empty()), devices, 1);
    }

    /// What `scripts/gpu-check --stand-in` compares, in fewer batches.
    @Test
    void everyFormatHasTheBitsOfTheCpu() {
        System.setProperty("atoll.home", System.getProperty("atoll.root"));
        assertEquals(0, Main.commandLine().execute("gpu-check", "--stand-in", "--quick"));
    }

    /// So that the comparison itself can fail.
    @Test
    void anOutputThatDiffersIsSeen() {
        try (CheckedExperts experts = experts(WeightFormat.Q4_K, 256, 256)) {
            experts.batch(0, 2, 3);
            assertTrue(experts.agree());
            experts.spoil();
            assertFalse(experts.agree());
        }
    }

    @Test
    void outputPastTheGridIsNoticed() {
        try (CheckedExperts experts = experts(WeightFormat.Q8, 64, 32)) {
            experts.batch(0, 2, 3);
            experts.scaleWeights(Float.MAX_VALUE);
            assertTrue(experts.agree());
            assertFalse(experts.device().isFinite(0));
        }
    }

    /// The CPU takes over within the batch, and the sums are the same.
    @ParameterizedTest
    @EnumSource(
            value = Call.class,
            names = {"LAUNCH", "SYNCHRONIZATION", "ANY"})
    void deviceThatIsLostCostsNoSum(Call call) {
        try (CheckedExperts experts = experts(WeightFormat.Q6_K, 256, 256)) {
            experts.batch(0, 5, 2);
            assertTrue(experts.agree());
            StandIn.fail(call, 1, StandIn.DEVICE_LOST);
            assertTrue(experts.agree());
            assertTrue(experts.agree());
            assertTrue(StandIn.failures() > 0);
            assertEquals("no GPU", experts.device().describe());
        }
    }

    @Test
    void memoryThatRunsOutInABatchCostsNoSum() {
        try (CheckedExperts experts = experts(WeightFormat.Q4_0, 64, 64)) {
            StandIn.fail(Call.ALLOCATION, 0, StandIn.OUT_OF_MEMORY);
            experts.batch(0, 40, 2);
            assertTrue(experts.agree());
            assertTrue(StandIn.failures() > 0);
        }
    }

    @Test
    void deviceThatDoesNotOpenIsATypedError() {
        StandIn.fail(Call.ALLOCATION, 0, StandIn.OUT_OF_MEMORY);
        CudaException e =
                assertThrows(CudaException.class, () -> experts(WeightFormat.Q4_0, 64, 64));
        assertTrue(e.isOutOfMemory());
        assertTrue(e.getMessage().contains("stand-in"), e.getMessage());
    }
}

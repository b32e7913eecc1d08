package io.atoll.kernels.cuda;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import jcuda.driver.CUdevice;
import jcuda.driver.CUdevice_attribute;
import jcuda.driver.CUresult;
import jcuda.driver.JCudaDriver;

/// Whether this process can use GPUs, and which.
public final class Cuda {
    /// The kernels are compiled by CUDA 13, whose images need a driver of this CUDA version: 580 and newer.
    private static final int LEAST_DRIVER = 13000;

    private static final String LEAST_DRIVER_NAME = "580";

    /// The oldest devices that the kernels are compiled for: Ampere.
    private static final int LEAST_MAJOR = 8;

    private static final int NAME_BYTES = 256;

    private Cuda() {}

    /// A GPU.
    ///
    /// @param ordinal the driver's number of it
    /// @param computeMajor of the compute capability
    /// @param processors streaming multiprocessors
    /// @param memoryBytes all of its memory
    public record Device(
            int ordinal,
            String name,
            int computeMajor,
            int computeMinor,
            int processors,
            long memoryBytes) {
        @Override
        public String toString() {
            return String.format(
                    Locale.ROOT,
                    "GPU %d: %s, sm_%d%d, %d processors, %.1f GB",
                    ordinal,
                    name,
                    computeMajor,
                    computeMinor,
                    processors,
                    memoryBytes / 1e9);
        }
    }

    /// What there is.
    public sealed interface Availability {
        /// @param devices at least one
        record Usable(List<Device> devices) implements Availability {}

        /// @param reason one line
        record Absent(String reason) implements Availability {}
    }

    /// Looks for GPUs. Never throws: what is missing is the answer.
    public static Availability probe() {
        try {
            return devices();
        } catch (LinkageError e) {
            return new Availability.Absent(
                    "no CUDA driver here (libcuda.so.1 was not loaded: " + firstLine(e) + ")");
        } catch (CudaException e) {
            return new Availability.Absent(e.getMessage());
        }
    }

    private static String firstLine(LinkageError e) {
        return String.valueOf(e.getMessage()).lines().findFirst().orElse("no reason given").strip();
    }

    private static Availability devices() {
        check("CUDA", "cuInit", JCudaDriver.cuInit(0));
        int[] version = new int[1];
        check("CUDA", "cuDriverGetVersion", JCudaDriver.cuDriverGetVersion(version));
        if (version[0] < LEAST_DRIVER) {
            return new Availability.Absent(
                    "the CUDA driver is too old: it is of CUDA "
                            + version[0] / 1000
                            + "."
                            + version[0] % 1000 / 10
                            + ", driver "
                            + LEAST_DRIVER_NAME
                            + " (CUDA 13) or newer is needed");
        }
        int[] count = new int[1];
        check("CUDA", "cuDeviceGetCount", JCudaDriver.cuDeviceGetCount(count));
        List<Device> usable = new ArrayList<>();
        List<Device> old = new ArrayList<>();
        for (int ordinal = 0; ordinal < count[0]; ordinal++) {
            Device device = describe(ordinal);
            (device.computeMajor() >= LEAST_MAJOR ? usable : old).add(device);
        }
        if (usable.isEmpty()) {
            return new Availability.Absent(
                    old.isEmpty()
                            ? "the CUDA driver sees no GPU"
                            : "every GPU is older than compute capability 8.0: " + old);
        }
        return new Availability.Usable(List.copyOf(usable));
    }

    private static Device describe(int ordinal) {
        String where = "GPU " + ordinal;
        CUdevice device = handle(ordinal);
        byte[] name = new byte[NAME_BYTES];
        check(where, "cuDeviceGetName", JCudaDriver.cuDeviceGetName(name, name.length, device));
        long[] memory = new long[1];
        check(where, "cuDeviceTotalMem", JCudaDriver.cuDeviceTotalMem(memory, device));
        return new Device(
                ordinal,
                text(name),
                attribute(device, CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR),
                attribute(device, CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR),
                attribute(device, CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT),
                memory[0]);
    }

    static CUdevice handle(int ordinal) {
        CUdevice device = new CUdevice();
        check("GPU " + ordinal, "cuDeviceGet", JCudaDriver.cuDeviceGet(device, ordinal));
        return device;
    }

    private static int attribute(CUdevice device, int attribute) {
        int[] value = new int[1];
        check(
                "GPU",
                "cuDeviceGetAttribute",
                JCudaDriver.cuDeviceGetAttribute(value, attribute, device));
        return value[0];
    }

    private static String text(byte[] zeroTerminated) {
        int end = 0;
        while (end < zeroTerminated.length && zeroTerminated[end] != 0) {
            end++;
        }
        return new String(zeroTerminated, 0, end, StandardCharsets.UTF_8).strip();
    }

    /// @throws CudaException unless the call succeeded
    static void check(String where, String call, int code) {
        if (code != CUresult.CUDA_SUCCESS) {
            throw new CudaException(where, call, code, CUresult.stringFor(code));
        }
    }
}

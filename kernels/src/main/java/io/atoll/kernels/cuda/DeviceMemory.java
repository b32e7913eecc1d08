package io.atoll.kernels.cuda;

import jcuda.driver.CUdeviceptr;

/// Memory on a device, freed with the device or by [CudaDevice#free].
public final class DeviceMemory extends CUdeviceptr {
    private final long bytes;

    DeviceMemory(long bytes) {
        this.bytes = bytes;
    }

    /// Where it begins, as kernels see it.
    public long address() {
        return getNativePointer();
    }

    public long bytes() {
        return bytes;
    }
}

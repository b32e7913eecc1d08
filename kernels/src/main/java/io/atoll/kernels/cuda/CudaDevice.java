package io.atoll.kernels.cuda;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;
import jcuda.Pointer;
import jcuda.driver.CUcontext;
import jcuda.driver.CUdeviceptr;
import jcuda.driver.CUevent;
import jcuda.driver.CUfunction;
import jcuda.driver.CUmodule;
import jcuda.driver.CUstream;
import jcuda.driver.JCudaDriver;

/// One GPU: a context, the kernels, a stream on which everything happens in order but [#together], and the memory that was taken from it.
///
/// One thread at a time. After a [CudaException] that is not about memory the device can't be relied on; `close()` still gives back what
/// the driver takes back.
public final class CudaDevice implements AutoCloseable {
    private static final String IMAGE = "/cuda/atoll.fatbin";

    /// Largest piece of one copy: a direct buffer holds no more.
    private static final long COPY_BYTES = 1L << 30;

    private final Cuda.Device description;
    private final CUcontext context = new CUcontext();
    private final CUmodule module = new CUmodule();
    private final CUstream stream = new CUstream();
    private final CUstream side = new CUstream();
    private final CUevent fork = new CUevent();
    private final CUevent join = new CUevent();
    private final Map<String, CUfunction> functions = new HashMap<>();
    private final Set<DeviceMemory> memory = new LinkedHashSet<>();
    private final Set<Pinned> pinned = new LinkedHashSet<>();
    private boolean onSide;
    private boolean closed;

    private CudaDevice(Cuda.Device description) {
        this.description = description;
    }

    /// Opens a device that [Cuda#probe] has found.
    ///
    /// @throws CudaException if the driver refuses, for example since another process holds the device
    public static CudaDevice open(Cuda.Device description) {
        CudaDevice device = new CudaDevice(description);
        device.check(
                "cuCtxCreate",
                JCudaDriver.cuCtxCreate(device.context, 0, Cuda.handle(description.ordinal())));
        try {
            device.check("cuModuleLoadData", JCudaDriver.cuModuleLoadData(device.module, image()));
            device.check("cuStreamCreate", JCudaDriver.cuStreamCreate(device.stream, 0));
            device.check("cuStreamCreate", JCudaDriver.cuStreamCreate(device.side, 0));
            device.check("cuEventCreate", JCudaDriver.cuEventCreate(device.fork, 0));
            device.check("cuEventCreate", JCudaDriver.cuEventCreate(device.join, 0));
        } catch (CudaException e) {
            JCudaDriver.cuCtxDestroy(device.context);
            throw e;
        }
        return device;
    }

    private static byte[] image() {
        try (InputStream file = CudaDevice.class.getResourceAsStream(IMAGE)) {
            if (file == null) {
                throw new IllegalStateException("this build has no " + IMAGE);
            }
            return file.readAllBytes();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    public Cuda.Device description() {
        return description;
    }

    /// Makes it the device of the calling thread. Comes first on each thread that uses it.
    public void enter() {
        check("cuCtxSetCurrent", JCudaDriver.cuCtxSetCurrent(context));
    }

    /// Bytes that can still be taken.
    public long freeBytes() {
        long[] free = new long[1];
        long[] all = new long[1];
        check("cuMemGetInfo", JCudaDriver.cuMemGetInfo(free, all));
        return free[0];
    }

    /// Takes memory.
    ///
    /// @throws CudaException if there is not enough
    public DeviceMemory allocate(long bytes) {
        DeviceMemory taken = new DeviceMemory(bytes);
        check(
                "cuMemAlloc of " + bytes + " bytes",
                JCudaDriver.cuMemAlloc(taken, Math.max(1, bytes)));
        memory.add(taken);
        return taken;
    }

    /// Gives memory back.
    public void free(DeviceMemory taken) {
        if (memory.remove(taken)) {
            check("cuMemFree", JCudaDriver.cuMemFree(taken));
        }
    }

    /// Host memory that copies take without a detour.
    ///
    /// @param segment the memory; belongs to the device
    public record Pinned(MemorySegment segment, Pointer pointer) {}

    /// Takes pinned host memory, at most 2 GiB.
    public Pinned pin(long bytes) {
        Pointer pointer = new Pointer();
        check("cuMemHostAlloc", JCudaDriver.cuMemHostAlloc(pointer, Math.max(1, bytes), 0));
        ByteBuffer buffer = pointer.getByteBuffer(0, Math.max(1, bytes));
        Pinned taken = new Pinned(MemorySegment.ofBuffer(buffer), pointer);
        pinned.add(taken);
        return taken;
    }

    /// Gives pinned memory back. Nothing may use its segment any more.
    public void unpin(Pinned taken) {
        if (pinned.remove(taken)) {
            check("cuMemFreeHost", JCudaDriver.cuMemFreeHost(taken.pointer()));
        }
    }

    /// Copies native host memory to the device, and waits for it.
    ///
    /// @param offset into the device's memory
    public void copyIn(MemorySegment from, DeviceMemory to, long offset) {
        for (long at = 0; at < from.byteSize(); at += COPY_BYTES) {
            long bytes = Math.min(COPY_BYTES, from.byteSize() - at);
            Pointer piece = Pointer.to(from.asSlice(at, bytes).asByteBuffer());
            check(
                    "cuMemcpyHtoD",
                    JCudaDriver.cuMemcpyHtoD(to.withByteOffset(offset + at), piece, bytes));
        }
    }

    /// Begins to copy the first bytes of pinned memory to the device.
    public void copyIn(Pinned from, DeviceMemory to, long bytes) {
        check(
                "cuMemcpyHtoDAsync",
                JCudaDriver.cuMemcpyHtoDAsync(to, from.pointer(), bytes, stream));
    }

    /// Begins to copy the first bytes of device memory to pinned memory.
    public void copyOut(DeviceMemory from, Pinned to, long bytes) {
        check(
                "cuMemcpyDtoHAsync",
                JCudaDriver.cuMemcpyDtoHAsync(to.pointer(), from, bytes, stream));
    }

    /// Begins to set the first bytes of device memory to zero.
    public void zero(DeviceMemory at, long bytes) {
        check(
                "cuMemsetD8Async",
                JCudaDriver.cuMemsetD8Async((CUdeviceptr) at, (byte) 0, bytes, stream));
    }

    /// Two pieces of work that need not wait for each other, both after all that was begun before, and before all that comes later.
    public void together(Runnable one, Runnable other) {
        check("cuEventRecord", JCudaDriver.cuEventRecord(fork, stream));
        check("cuStreamWaitEvent", JCudaDriver.cuStreamWaitEvent(side, fork, 0));
        one.run();
        onSide = true;
        try {
            other.run();
        } finally {
            onSide = false;
        }
        check("cuEventRecord", JCudaDriver.cuEventRecord(join, side));
        check("cuStreamWaitEvent", JCudaDriver.cuStreamWaitEvent(stream, join, 0));
    }

    /// Begins to run a kernel.
    ///
    /// @param parameters the bytes of each parameter, in direct buffers
    void launch(String kernel, int gridX, int gridY, int threads, ByteBuffer... parameters) {
        Pointer[] each = new Pointer[parameters.length];
        for (int i = 0; i < each.length; i++) {
            each[i] = Pointer.to(parameters[i]);
        }
        check(
                kernel,
                JCudaDriver.cuLaunchKernel(
                        function(kernel),
                        gridX,
                        gridY,
                        1,
                        threads,
                        1,
                        1,
                        0,
                        onSide ? side : stream,
                        Pointer.to(each),
                        null));
    }

    private CUfunction function(String kernel) {
        CUfunction known = functions.get(kernel);
        if (known == null) {
            known = new CUfunction();
            check(
                    "cuModuleGetFunction " + kernel,
                    JCudaDriver.cuModuleGetFunction(known, module, kernel));
            functions.put(kernel, known);
        }
        return known;
    }

    /// A direct buffer for a parameter.
    static ByteBuffer parameter(int bytes) {
        return ByteBuffer.allocateDirect(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }

    /// Waits for everything begun.
    ///
    /// @throws CudaException if something of it failed
    public void await() {
        check("cuStreamSynchronize", JCudaDriver.cuStreamSynchronize(stream));
    }

    /// Milliseconds that the device takes for what `work` begins, by its own clock.
    public float time(Runnable work) {
        CUevent begin = new CUevent();
        CUevent end = new CUevent();
        check("cuEventCreate", JCudaDriver.cuEventCreate(begin, 0));
        check("cuEventCreate", JCudaDriver.cuEventCreate(end, 0));
        try {
            check("cuEventRecord", JCudaDriver.cuEventRecord(begin, stream));
            work.run();
            check("cuEventRecord", JCudaDriver.cuEventRecord(end, stream));
            check("cuEventSynchronize", JCudaDriver.cuEventSynchronize(end));
            float[] millis = new float[1];
            check("cuEventElapsedTime", JCudaDriver.cuEventElapsedTime(millis, begin, end));
            return millis[0];
        } finally {
            JCudaDriver.cuEventDestroy(begin);
            JCudaDriver.cuEventDestroy(end);
        }
    }

    /// The rate at which the device's memory is copied by a kernel, bytes read and written a second: what other kernels are
    /// measured against.
    ///
    /// @param runs the median of so many
    public double copyRate(long bytes, int runs) {
        DeviceMemory from = allocate(bytes);
        DeviceMemory to = allocate(bytes);
        copy(from, to, bytes);
        await();
        float[] millis = new float[runs];
        for (int i = 0; i < runs; i++) {
            millis[i] = time(() -> copy(from, to, bytes));
        }
        free(from);
        free(to);
        Arrays.sort(millis);
        return 2.0 * bytes / (millis[runs / 2] * 1e-3);
    }

    private void copy(DeviceMemory from, DeviceMemory to, long bytes) {
        int blocks = Math.max(1, description.processors() * 16);
        launch(
                "copy_words",
                blocks,
                1,
                256,
                parameter(8).putLong(0, from.address()),
                parameter(8).putLong(0, to.address()),
                parameter(8).putLong(0, bytes / 16));
    }

    private void check(String call, int code) {
        Cuda.check("GPU " + description.ordinal() + " (" + description.name() + ")", call, code);
    }

    /// Gives back everything. A device that is lost refuses, which changes nothing.
    @Override
    public void close() {
        if (closed) {
            return;
        }
        closed = true;
        JCudaDriver.cuCtxSetCurrent(context);
        memory.forEach(JCudaDriver::cuMemFree);
        pinned.forEach(each -> JCudaDriver.cuMemFreeHost(each.pointer()));
        JCudaDriver.cuEventDestroy(fork);
        JCudaDriver.cuEventDestroy(join);
        JCudaDriver.cuStreamDestroy(side);
        JCudaDriver.cuStreamDestroy(stream);
        JCudaDriver.cuModuleUnload(module);
        JCudaDriver.cuCtxDestroy(context);
    }
}

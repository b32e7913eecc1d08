package io.atoll.kernels.cuda;

/// A call of the CUDA driver failed. The message names the call, the device and the error.
public final class CudaException extends RuntimeException {
    private static final long serialVersionUID = 1;
    private static final int OUT_OF_MEMORY = 2;

    private final int code;

    CudaException(String where, String call, int code, String error) {
        super(where + ": " + call + " failed: " + error + " (" + code + ")");
        this.code = code;
    }

    /// Whether memory was short: the device itself goes on. After any other error it can't be relied on.
    public boolean isOutOfMemory() {
        return code == OUT_OF_MEMORY;
    }
}

package io.atoll.kernels;

/// A family of kernels and the instruction set it runs on.
///
/// All CPU classes share one arithmetic: the same sums in the same order with the same roundings, so a cluster may mix
/// them without changing a bit. [#arithmetic] is what two processes compare in their hello.
public enum KernelClass {
    SCALAR("scalar"),
    VECTOR("vector"),
    C_GENERIC("c-generic"),
    C_NEON("c-neon"),
    C_AVX2("c-avx2"),
    C_AVX512("c-avx512");

    private final String label;

    KernelClass(String label) {
        this.label = label;
    }

    /// The name that is printed, and that `--kernels` takes.
    public String label() {
        return label;
    }

    /// Name of the arithmetic. Classes with the same name give the same bits for the same inputs.
    public String arithmetic() {
        return "cpu-1";
    }
}

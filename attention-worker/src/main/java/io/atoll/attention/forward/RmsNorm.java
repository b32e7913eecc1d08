package io.atoll.attention.forward;

import java.lang.foreign.MemorySegment;

/// A zero-centred RMSNorm over rows (model spec B.1).
///
/// @param weight f32 `[width]`
record RmsNorm(MemorySegment weight, float eps, int width, Compute compute) {
    /// `y` may be `x`.
    void apply(MemorySegment x, MemorySegment y, int rows) {
        compute.splitRows(
                rows,
                width,
                (begin, end) ->
                        compute.kernels()
                                .rmsNorm(
                                        Rows.from(x, begin, width),
                                        width,
                                        weight,
                                        eps,
                                        Rows.from(y, begin, width),
                                        width,
                                        end - begin,
                                        width));
    }
}

package io.atoll.kernels;

import java.lang.foreign.MemorySegment;

/// One CPU kernel family: the operations of a decoder layer over f32 rows.
///
/// **The arithmetic is part of the contract.** Every implementation takes the sums below in the stated order, with IEEE
/// single precision, fused multiply-add where `fma` is written and nowhere else. Hence a row's result does not depend on the
/// other rows of the call, on how outputs or heads are split over calls and threads, or on the implementation. The
/// building blocks:
///
/// - **ascending**: one accumulator, from 0, over the index from low to high.
/// - **lanes**: 16 accumulators, element `i` goes to lane `i mod 16` in ascending order by `fma`, a length that is no
///   multiple of 16 padded with zeros; then lanes fold in halves: `l[i] += l[i + 8]`, `l[i] += l[i + 4]`, `l[i] += l[i + 2]`, `l[i] +=
///   l[i + 1]`.
/// - **exp**: 0 below -87.3; above 88.3 the value at 88.3. `n = rint(x * 1.442695)`, `r = fma(n, -0.693359375, x)`, `r = fma(n,
///   2.1219444e-4, r)`, then Horner's scheme by `fma` with the coefficients 1.9875691e-4, 1.3981999e-3,
///   8.333452e-3, 4.1665796e-2, 1.6666666e-1, 0.5, 1, 1 of `r^7` to `r^0`, times `2^n`.
///   Relative error below 2e-7.
/// - **sigmoid(x)** is `1 / (1 + exp(-x))`; **silu(x)** is `x / (1 + exp(-x))`; division and square root are IEEE's.
///
/// Segments are native memory in the machine's byte order (little-endian), `float` unless stated, and aligned to 4 bytes.
/// Shapes are row-major. Nothing is allocated and nothing blocks. Sizes are the caller's promise; implementations check
/// segment bounds where that costs nothing measurable. An output may not overlap an input unless stated. The caller keeps
/// the memory alive until the call returns.
///
/// "The same bits" holds for every number and both zeros. A NaN is a NaN everywhere, but its sign and payload are the
/// processor's.
public interface Kernels {
    KernelClass kernelClass();

    /// `y[r, o] = sum over c of w[o, c] x[r, c]`, ascending in `c` by `fma(w, x, acc)`, for weights that do not take quantised rows. The
    /// weight `w` is the f32 that it means: of `F8_E4M3`, code times scale, rounded.
    ///
    /// @param x `[rows, w.cols()]`
    /// @param y row `r` starts at float `r * yStride`; outputs of the groups `groupBegin` to `groupEnd - 1` are
    ///     overwritten, padding outputs are not written
    void matMul(
            PackedMatrix w,
            MemorySegment x,
            int rows,
            MemorySegment y,
            int yStride,
            int groupBegin,
            int groupEnd);

    /// The same for quantised weights and rows. A run is 32 or 16 columns ([BlockLayout]). For each
    /// run, ascending, with the exact integer dot product `d` of its levels and row bytes, `acc = fma(float(d) * xScale, scale,
    /// acc)`; then, where the format has minima, with the exact sum `s` of the row bytes, `acc = fma(float(s) * xScale, minimum, acc)`.
    /// Where outputs have a factor, the sum is multiplied (or divided) by it in the end.
    ///
    /// @param w of a format that [WeightFormat#takesQuantizedRows]
    /// @param q int8 `[rows, w.cols()]` from [#quantizeRows], so never -128
    /// @param scales `[rows, w.cols() / 32]`
    void matMulQuantized(
            PackedMatrix w,
            MemorySegment q,
            MemorySegment scales,
            int rows,
            MemorySegment y,
            int yStride,
            int groupBegin,
            int groupEnd);

    /// Symmetric int8 rows: for each block of 32, `scale = max|x| / 127`, `q = rint(x * (1 / scale))` (half to even). A
    /// scale below the smallest normal float becomes 0, with zero bytes. A block that holds a NaN or an infinity gets the
    /// scale NaN and zero bytes, so that the fault shows in every output that meets it.
    ///
    /// @param cols a multiple of 32
    void quantizeRows(MemorySegment x, int rows, int cols, MemorySegment q, MemorySegment scales);

    /// Zero-centred RMSNorm: `y = (x * r) * (1 + w)`, `r = 1 / sqrt(sum(x^2) / n + eps)`, the sum by lanes
    /// (model spec B.1). `y` may be `x`.
    ///
    /// @param x `[rows, n]`, rows `xStride` floats apart
    /// @param y `[rows, n]`, rows `yStride` floats apart
    void rmsNorm(
            MemorySegment x,
            int xStride,
            MemorySegment weight,
            float eps,
            MemorySegment y,
            int yStride,
            int rows,
            int n);

    /// Gated RMSNorm of Gated DeltaNet heads: `y = ((x * r) * w) * silu(z)`, plain `w` (model spec B.1). `y` may be
    /// `x`.
    ///
    /// @param x heads of `n` floats, `count` next to each other for each of `rows` rows, which are `stride` floats apart
    /// @param z as `x`
    /// @param y as `x`, rows `yStride` floats apart
    void gatedRmsNorm(
            MemorySegment x,
            MemorySegment z,
            int stride,
            MemorySegment weight,
            float eps,
            MemorySegment y,
            int yStride,
            int rows,
            int count,
            int n);

    /// `x = (x * (1 / sqrt(sum(x^2) + 1e-6))) * scale` for each vector in place, the sum by lanes (model spec B.2 step 4).
    ///
    /// @param x vectors of `n` floats, `count` next to each other for each of `rows` rows `xStride` floats apart
    void l2Norm(MemorySegment x, int xStride, int rows, int count, int n, float scale);

    /// Rotates the first `rotaryDim` elements of each head in place, half-split pairs `(i, i + rotaryDim / 2)`: `y_i =
    /// fma(x_i, c, -(x_j * s))`, `y_j = fma(x_j, c, x_i * s)` (model spec B.3 step 3).
    ///
    /// @param x `heads` heads, `headStride` floats apart, of one token
    /// @param cos `[rotaryDim / 2]`
    /// @param sin `[rotaryDim / 2]`
    void rotary(
            MemorySegment x,
            int heads,
            int headStride,
            int rotaryDim,
            MemorySegment cos,
            MemorySegment sin);

    /// Causal depthwise convolution and SiLU over the rows of one sequence (model spec B.2 step 2): `y[t, c] = silu(sum over
    /// j of w[c, j] u[t - width + 1 + j, c])`, ascending in `j` by `fma(w, u, acc)`.
    ///
    /// @param u `[rows, channels]`, the projections before the convolution
    /// @param weight `[width, channels]`: tap by tap, the oldest first, so that neighbouring channels are read together
    /// @param state `[width - 1, channels]`, the rows before `u`, oldest first; read, then overwritten with the
    ///     last `width - 1` rows of state and `u` together
    /// @param y `[rows, channels]`
    void causalConv(
            MemorySegment u,
            MemorySegment weight,
            MemorySegment state,
            MemorySegment y,
            int rows,
            int channels,
            int width,
            int channelBegin,
            int channelEnd);

    /// The two gates of the delta rule (model spec B.2 step 5): `beta = sigmoid(b)`, `decay = exp(-exp(aLog) * softplus(a +
    /// dtBias))`. `softplus(x)` is `x` above 20, else `max(x, 0) + (s + s) * p` with `u = exp(-|x|)`, `s = u / (2 + u)` and
    /// `p` Horner's scheme by `fma` in `s * s` with the coefficients 1/15, 1/13, ... 1/3, 1: the series of `2 artanh(s) =
    /// log1p(u)`.
    ///
    /// @param a `[rows, heads]`
    /// @param b `[rows, heads]`
    /// @param decay `[rows, heads]`, overwritten
    /// @param beta `[rows, heads]`, overwritten
    void deltaGates(
            MemorySegment a,
            MemorySegment b,
            MemorySegment aLog,
            MemorySegment dtBias,
            MemorySegment decay,
            MemorySegment beta,
            int rows,
            int heads);

    /// The gated delta rule, one row at a time (Yang et al., "Gated Delta Networks", arXiv 2412.06464; model spec B.2
    /// step 7), for the value heads `headBegin` to `headEnd - 1` of one sequence. Value head `j` reads key head `j / (valueHeads /
    /// keyHeads)`. With state `S [keyDim, valueDim]` of the head, for each row: `S = S * decay`; `m[v]` ascending over the
    /// keys by `fma(k, S, m)`; `d = beta * (v - m)`; `S = fma(k, d, S)`; `o[v]` ascending over the keys by `fma(q, S, o)`.
    ///
    /// @param qkv `[rows, 2 keyHeads keyDim + valueHeads valueDim]`: normalised queries, normalised keys, values
    /// @param decay `[rows, valueHeads]`
    /// @param beta `[rows, valueHeads]`
    /// @param state `[valueHeads, keyDim, valueDim]`, read and overwritten
    /// @param out `[rows, valueHeads, valueDim]`
    void gatedDeltaRule(
            MemorySegment qkv,
            MemorySegment decay,
            MemorySegment beta,
            MemorySegment state,
            MemorySegment out,
            int rows,
            int keyHeads,
            int valueHeads,
            int keyDim,
            int valueDim,
            int headBegin,
            int headEnd);

    /// Positions of one segment of [#attention]: the partial softmax of a segment is computed on its own.
    int ATTENTION_SEGMENT = 256;

    /// Positions of one span of [#attention]: segments merge within a span, then spans merge. So threads can share a long context
    /// by spans, and keep one partial result for each.
    int ATTENTION_SPAN = 1024;

    /// Queries, that is rows times heads of one key/value head, which [#attention] takes through the keys and values together.
    int ATTENTION_QUERIES = 64;

    /// Softmax attention of consecutive tokens of one sequence, each over the positions up to its own, for the query heads `headBegin` to
    /// `headEnd - 1` (model spec B.3 step 4). Query head `h` reads key/value head `h / (heads / kvHeads)`.
    ///
    /// Positions are cut into spans of [#ATTENTION_SPAN] and those into segments of [#ATTENTION_SEGMENT]. In a segment: scores
    /// `s_j = (q . k_j by lanes) * scale`, their maximum `m`, `p_j = exp(s_j - m)`, `l` ascending over `p_j`, `o` ascending by `fma(p_j,
    /// v_j, o)`. Segments merge in ascending order into `(M, L, O)`, from the span's first segment's values: `M' = max(M, m)`, `a = exp(M -
    /// M')`, `b = exp(m - M')`, `L = fma(L, a, l * b)`, `O = fma(O, a, o * b)`. Spans merge in the same way. The result is `O / L`.
    ///
    /// @param q `[rows, heads, headDim]`
    /// @param pool memory of all KV blocks
    /// @param blockOffsets int64 `[ceil((length + rows - 1) / blockTokens)]`: byte offset in `pool` of each block of this
    ///     sequence and layer
    /// @param length positions that the first row sees, itself included, at least 1; each later row sees one more
    /// @param out `[rows, heads, headDim]`
    /// @param scratch at least [#attentionScratch] floats, for this call alone
    void attention(
            MemorySegment q,
            int rows,
            KvLayout layout,
            MemorySegment pool,
            MemorySegment blockOffsets,
            int length,
            int heads,
            float scale,
            MemorySegment out,
            MemorySegment scratch,
            int headBegin,
            int headEnd);

    /// Floats of scratch that attention needs.
    static long attentionScratch(int headDim) {
        return ATTENTION_QUERIES * (ATTENTION_SEGMENT + 2L * headDim + 2);
    }

    /// What one span adds to the [#attention] of one row: `O`, `M` and `L` of its segments.
    ///
    /// @param q `[heads, headDim]`
    /// @param length positions that the row sees
    /// @param span which one; begins below `length`
    /// @param part [#attentionPart] floats: `O` `[heads, headDim]`, `M` `[heads]`, `L` `[heads]`
    void attentionSpan(
            MemorySegment q,
            KvLayout layout,
            MemorySegment pool,
            MemorySegment blockOffsets,
            int length,
            int span,
            int heads,
            float scale,
            MemorySegment part,
            MemorySegment scratch,
            int headBegin,
            int headEnd);

    /// Floats of one span's part.
    static long attentionPart(int heads, int headDim) {
        return heads * (headDim + 2L);
    }

    /// Merges the parts of all spans of a row into its [#attention].
    ///
    /// @param parts `[spans]` of [#attentionPart] floats
    /// @param out `[heads, headDim]`
    void mergeSpans(
            MemorySegment parts,
            int spans,
            int heads,
            int headDim,
            MemorySegment out,
            int headBegin,
            int headEnd);

    /// The bfloat16 nearest to each float, ties to even: its upper half, where it fits. A NaN stays one.
    ///
    /// @param x `[n]`
    /// @param y int16 `[n]`
    void toBf16(MemorySegment x, MemorySegment y, long n);

    /// `x = x * sigmoid(gate)` for `count` vectors of `n` floats.
    ///
    /// @param x vectors next to each other, read and overwritten
    /// @param gate the gate of vector `i` starts at float `i * gateStride`
    void sigmoidGate(MemorySegment x, MemorySegment gate, int gateStride, int count, int n);

    /// `y[r, i] = silu(gateUp[r, i]) * gateUp[r, n + i]`.
    ///
    /// @param gateUp `[rows, 2 n]`
    /// @param y `[rows, n]`
    void swiGlu(MemorySegment gateUp, MemorySegment y, int rows, int n);

    /// The `k` experts with the largest logits of each row, largest first, equal logits by lower index, and their softmax
    /// among themselves: `e_i = exp(l_i - l_0)`, 1 where they are equal, `w_i = e_i / sum(e)`, ascending (model spec B.4
    /// step 1). NaN counts as negative infinity.
    ///
    /// @param logits `[rows, experts]`
    /// @param ids int32 `[rows, k]`
    /// @param weights `[rows, k]`
    void routerTopK(
            MemorySegment logits,
            int rows,
            int experts,
            int k,
            MemorySegment ids,
            MemorySegment weights);

    /// Grid values of [#combineAdd] stay below this, so that they and their first sums fit an int64.
    float COMBINE_LIMIT = 0x1p61f;

    /// Adds one expert's weighted output to a fixed-point sum: `acc += rint((weight * y) * 2^fractionBits)`, the product in
    /// f32, half to even.
    ///
    /// @param y `[n]`
    /// @param acc int64 `[n]`
    /// @param fractionBits 0 to 60
    /// @return false if a product is not finite or its grid value is not below [#COMBINE_LIMIT] in magnitude; `acc` is
    ///     then undefined
    boolean combineAdd(MemorySegment y, float weight, MemorySegment acc, int n, int fractionBits);

    /// `y = float(acc) * 2^-fractionBits`, rounded to nearest once.
    ///
    /// @param acc int64 `[n]`
    void combineToFloat(MemorySegment acc, MemorySegment y, int n, int fractionBits);

    /// `x = x + y`.
    void add(MemorySegment x, MemorySegment y, long n);

    /// `x[r, i] = fma(sigmoid(gate[r]), y[r, i], x[r, i])`: adds a shared expert's gated output.
    ///
    /// @param x `[rows, n]`
    /// @param y `[rows, n]`
    /// @param gate row `r`'s gate is float `r * gateStride`
    void addGated(
            MemorySegment x, MemorySegment y, MemorySegment gate, int gateStride, int rows, int n);

    /// Elements of a run of [#laneMaxima] and [#sumExp].
    int MAXIMA_RUN = 1024;

    /// Largest values, from which candidates among very many are found without a second look at most of them. The values are taken
    /// in runs of [#MAXIMA_RUN]: `maxima[16 r + l]` is the largest of elements `l, l + 16, l + 32, ...` of run `r`, the
    /// first of equal ones, and negative infinity where there is none.
    ///
    /// @param x `[n]`
    /// @param maxima `[maxima(n)]`, overwritten
    /// @return whether every element is finite; if not, the maxima are undefined
    boolean laneMaxima(MemorySegment x, int n, MemorySegment maxima);

    /// How many maxima [#laneMaxima] takes of `n` elements.
    static int maxima(int n) {
        return 16 * Math.ceilDiv(n, MAXIMA_RUN);
    }

    /// The sum of `exp(x - max)`: of each run of [#MAXIMA_RUN] elements by lanes, and of the runs in f64, ascending.
    ///
    /// @param x `[n]`
    double sumExp(MemorySegment x, int n, float max);

    /// The wrapping sum of the whole int64 values in `memory`: the least work that reads it all, to measure what the
    /// memory gives.
    long readSum(MemorySegment memory);
}

package io.atoll.kernels.nativecode;

import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.atoll.kernels.KernelClass;
import io.atoll.kernels.Kernels;
import io.atoll.kernels.KvFormat;
import io.atoll.kernels.KvLayout;
import io.atoll.kernels.PackedMatrix;
import io.atoll.kernels.WeightFormat;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.EnumMap;
import java.util.Map;
import java.util.Optional;

/// The C functions of one instruction set.
///
/// Sizes are checked here, once per call, and raw addresses passed on: a call costs some nanoseconds. All calls are plain
/// downcalls, none is `critical`: most of them grow with the rows of a step, and a critical one that runs for milliseconds
/// would keep the whole JVM from reaching a safepoint to save a few nanoseconds.
public final class NativeKernels implements Kernels {
    private static final int GROUP = WeightFormat.GROUP;
    private static final int BLOCK = WeightFormat.BLOCK;
    private static final Map<WeightFormat, Integer> CODES = codes();
    private static final int MAX_CONV_WIDTH = 16;

    // Slots of the library's table: `enum operation` of atoll_kernels.h.
    private static final int MAT_MUL_F32 = 0;
    private static final int MAT_MUL_BF16 = 1;
    private static final int MAT_MUL_F16 = 2;
    private static final int MAT_MUL_F8 = 3;
    private static final int MAT_MUL_QUANTIZED = 4;
    private static final int QUANTIZE_ROWS = 5;
    private static final int RMS_NORM = 6;
    private static final int GATED_RMS_NORM = 7;
    private static final int L2_NORM = 8;
    private static final int ROTARY = 9;
    private static final int CAUSAL_CONV = 10;
    private static final int DELTA_GATES = 11;
    private static final int GATED_DELTA_RULE = 12;
    private static final int ATTENTION = 13;
    private static final int SPAN = 14;
    private static final int MERGE_SPANS = 15;
    private static final int TO_BF16 = 16;
    private static final int SIGMOID_GATE = 17;
    private static final int SWI_GLU = 18;
    private static final int ROUTER_TOP_K = 19;
    private static final int COMBINE_ADD = 20;
    private static final int COMBINE_TO_FLOAT = 21;
    private static final int ADD = 22;
    private static final int ADD_GATED = 23;
    private static final int LANE_MAXIMA = 24;
    private static final int SUM_EXP = 25;
    private static final int READ_SUM = 26;
    private static final int OPERATIONS = 27;

    // How each is called, after its address: `p` a pointer, `i` an int32, `l` an int64, `f` a
    // float.
    private static final MethodHandle CALL_MAT_MUL = downcall("piipipiii");
    private static final MethodHandle CALL_MAT_MUL_QUANTIZED = downcall("ipiippipiii");
    private static final MethodHandle CALL_QUANTIZE_ROWS = downcall("piipp");
    private static final MethodHandle CALL_RMS_NORM = downcall("pipfpiii");
    private static final MethodHandle CALL_GATED_RMS_NORM = downcall("ppipfpiiii");
    private static final MethodHandle CALL_L2_NORM = downcall("piiiif");
    private static final MethodHandle CALL_ROTARY = downcall("piiipp");
    private static final MethodHandle CALL_CAUSAL_CONV = downcall("ppppiiiii");
    private static final MethodHandle CALL_DELTA_GATES = downcall("ppppppii");
    private static final MethodHandle CALL_GATED_DELTA_RULE = downcall("pppppiiiiiii");
    private static final MethodHandle CALL_ATTENTION = downcall("piippiiiiifppii");
    private static final MethodHandle CALL_SPAN = downcall("pippiiiiiifppii");
    private static final MethodHandle CALL_MERGE_SPANS = downcall("piiipii");
    private static final MethodHandle CALL_TO_BF16 = downcall("ppl");
    private static final MethodHandle CALL_SIGMOID_GATE = downcall("ppiii");
    private static final MethodHandle CALL_SWI_GLU = downcall("ppii");
    private static final MethodHandle CALL_ROUTER_TOP_K = downcall("piiipp");
    private static final MethodHandle CALL_COMBINE_ADD =
            Linker.nativeLinker().downcallHandle(FunctionDescriptor.of(JAVA_INT, layouts("pfpii")));
    private static final MethodHandle CALL_COMBINE_TO_FLOAT = downcall("ppii");
    private static final MethodHandle CALL_ADD = downcall("ppl");
    private static final MethodHandle CALL_ADD_GATED = downcall("pppiii");
    private static final MethodHandle CALL_LANE_MAXIMA =
            Linker.nativeLinker().downcallHandle(FunctionDescriptor.of(JAVA_INT, layouts("pip")));
    private static final MethodHandle CALL_SUM_EXP =
            Linker.nativeLinker()
                    .downcallHandle(FunctionDescriptor.of(JAVA_DOUBLE, layouts("pif")));
    private static final MethodHandle CALL_READ_SUM =
            Linker.nativeLinker().downcallHandle(FunctionDescriptor.of(JAVA_LONG, layouts("pl")));

    private final KernelClass kernelClass;
    private final String name;
    private final MemorySegment matMulF32;
    private final MemorySegment matMulBf16;
    private final MemorySegment matMulF16;
    private final MemorySegment matMulF8;
    private final MemorySegment matMulQuantized;
    private final MemorySegment quantizeRows;
    private final MemorySegment rmsNorm;
    private final MemorySegment gatedRmsNorm;
    private final MemorySegment l2Norm;
    private final MemorySegment rotary;
    private final MemorySegment causalConv;
    private final MemorySegment deltaGates;
    private final MemorySegment gatedDeltaRule;
    private final MemorySegment attention;
    private final MemorySegment span;
    private final MemorySegment mergeSpans;
    private final MemorySegment toBf16;
    private final MemorySegment sigmoidGate;
    private final MemorySegment swiGlu;
    private final MemorySegment routerTopK;
    private final MemorySegment combineAdd;
    private final MemorySegment combineToFloat;
    private final MemorySegment add;
    private final MemorySegment addGated;
    private final MemorySegment laneMaxima;
    private final MemorySegment sumExp;
    private final MemorySegment readSum;

    private NativeKernels(KernelClass kernelClass, String name, MemorySegment[] functions) {
        this.kernelClass = kernelClass;
        this.name = name;
        matMulF32 = functions[MAT_MUL_F32];
        matMulBf16 = functions[MAT_MUL_BF16];
        matMulF16 = functions[MAT_MUL_F16];
        matMulF8 = functions[MAT_MUL_F8];
        matMulQuantized = functions[MAT_MUL_QUANTIZED];
        quantizeRows = functions[QUANTIZE_ROWS];
        rmsNorm = functions[RMS_NORM];
        gatedRmsNorm = functions[GATED_RMS_NORM];
        l2Norm = functions[L2_NORM];
        rotary = functions[ROTARY];
        causalConv = functions[CAUSAL_CONV];
        deltaGates = functions[DELTA_GATES];
        gatedDeltaRule = functions[GATED_DELTA_RULE];
        attention = functions[ATTENTION];
        span = functions[SPAN];
        mergeSpans = functions[MERGE_SPANS];
        toBf16 = functions[TO_BF16];
        sigmoidGate = functions[SIGMOID_GATE];
        swiGlu = functions[SWI_GLU];
        routerTopK = functions[ROUTER_TOP_K];
        combineAdd = functions[COMBINE_ADD];
        combineToFloat = functions[COMBINE_TO_FLOAT];
        add = functions[ADD];
        addGated = functions[ADD_GATED];
        laneMaxima = functions[LANE_MAXIMA];
        sumExp = functions[SUM_EXP];
        readSum = functions[READ_SUM];
    }

    /// The functions of a C class, if the library is there and this processor runs them.
    public static Optional<Kernels> create(KernelClass kernelClass) {
        return NativeLibrary.instance().flatMap(library -> create(kernelClass, true, library));
    }

    /// Those without the class's extension, if the processor has one: what [#create] gives on a processor that lacks it.
    public static Optional<Kernels> withoutExtension(KernelClass kernelClass) {
        return NativeLibrary.instance()
                .filter(library -> library.hasExtension(kernelClass))
                .flatMap(library -> create(kernelClass, false, library));
    }

    private static Optional<Kernels> create(
            KernelClass kernelClass, boolean extended, NativeLibrary library) {
        boolean vnni = extended && library.hasExtension(kernelClass);
        String name = vnni ? kernelClass.label() + " (vnni)" : kernelClass.label();
        return library.functions(kernelClass, extended, OPERATIONS)
                .map(functions -> new NativeKernels(kernelClass, name, functions));
    }

    @Override
    public KernelClass kernelClass() {
        return kernelClass;
    }

    /// The label, and the extension in use.
    @Override
    public String toString() {
        return name;
    }

    @Override
    public void matMul(
            PackedMatrix w,
            MemorySegment x,
            int rows,
            MemorySegment y,
            int yStride,
            int groupBegin,
            int groupEnd) {
        checkGroups(w, groupBegin, groupEnd);
        long px = floats(x, (long) rows * w.cols());
        long py = floats(y, span(rows, yStride, Math.min(w.rows(), groupEnd * GROUP)));
        MemorySegment function =
                switch (w.format()) {
                    case F32 -> matMulF32;
                    case BF16 -> matMulBf16;
                    case F16 -> matMulF16;
                    case F8_E4M3 -> matMulF8;
                    default ->
                            throw new IllegalArgumentException(
                                    "matMul meets f32 rows only: " + w.format());
                };
        try {
            CALL_MAT_MUL.invokeExact(
                    function,
                    w.data().address(),
                    w.rows(),
                    w.cols(),
                    px,
                    rows,
                    py,
                    yStride,
                    groupBegin,
                    groupEnd);
        } catch (Throwable e) {
            throw failed(e);
        }
    }

    @Override
    public void matMulQuantized(
            PackedMatrix w,
            MemorySegment q,
            MemorySegment scales,
            int rows,
            MemorySegment y,
            int yStride,
            int groupBegin,
            int groupEnd) {
        if (!w.format().takesQuantizedRows()) {
            throw new IllegalArgumentException(w.format() + " is not quantised");
        }
        checkGroups(w, groupBegin, groupEnd);
        int code = CODES.get(w.format());
        long pq = bytes(q, (long) rows * w.cols());
        long ps = floats(scales, (long) rows * (w.cols() / BLOCK));
        long py = floats(y, span(rows, yStride, Math.min(w.rows(), groupEnd * GROUP)));
        try {
            CALL_MAT_MUL_QUANTIZED.invokeExact(
                    matMulQuantized,
                    code,
                    w.data().address(),
                    w.rows(),
                    w.cols(),
                    pq,
                    ps,
                    rows,
                    py,
                    yStride,
                    groupBegin,
                    groupEnd);
        } catch (Throwable e) {
            throw failed(e);
        }
    }

    /// `enum format` of atoll_kernels.h, which has the quantised formats in the same order.
    private static Map<WeightFormat, Integer> codes() {
        Map<WeightFormat, Integer> codes = new EnumMap<>(WeightFormat.class);
        for (WeightFormat format : WeightFormat.values()) {
            if (format.takesQuantizedRows()) {
                codes.put(format, codes.size());
            }
        }
        return codes;
    }

    @Override
    public void quantizeRows(
            MemorySegment x, int rows, int cols, MemorySegment q, MemorySegment scales) {
        if (cols % BLOCK != 0) {
            throw new IllegalArgumentException("columns must be a multiple of 32: " + cols);
        }
        long n = (long) rows * cols;
        try {
            CALL_QUANTIZE_ROWS.invokeExact(
                    quantizeRows, floats(x, n), rows, cols, bytes(q, n), floats(scales, n / BLOCK));
        } catch (Throwable e) {
            throw failed(e);
        }
    }

    @Override
    public void rmsNorm(
            MemorySegment x,
            int xStride,
            MemorySegment weight,
            float eps,
            MemorySegment y,
            int yStride,
            int rows,
            int n) {
        long px = floats(x, span(rows, xStride, n));
        long py = floats(y, span(rows, yStride, n));
        try {
            CALL_RMS_NORM.invokeExact(
                    rmsNorm, px, xStride, floats(weight, n), eps, py, yStride, rows, n);
        } catch (Throwable e) {
            throw failed(e);
        }
    }

    @Override
    public void gatedRmsNorm(
            MemorySegment x,
            MemorySegment z,
            int stride,
            MemorySegment weight,
            float eps,
            MemorySegment y,
            int yStride,
            int rows,
            int count,
            int n) {
        long vectors = (long) count * n;
        long px = floats(x, span(rows, stride, vectors));
        try {
            CALL_GATED_RMS_NORM.invokeExact(
                    gatedRmsNorm,
                    px,
                    floats(z, span(rows, stride, vectors)),
                    stride,
                    floats(weight, n),
                    eps,
                    floats(y, span(rows, yStride, vectors)),
                    yStride,
                    rows,
                    count,
                    n);
        } catch (Throwable e) {
            throw failed(e);
        }
    }

    @Override
    public void l2Norm(MemorySegment x, int xStride, int rows, int count, int n, float scale) {
        long px = floats(x, span(rows, xStride, (long) count * n));
        try {
            CALL_L2_NORM.invokeExact(l2Norm, px, xStride, rows, count, n, scale);
        } catch (Throwable e) {
            throw failed(e);
        }
    }

    @Override
    public void rotary(
            MemorySegment x,
            int heads,
            int headStride,
            int rotaryDim,
            MemorySegment cos,
            MemorySegment sin) {
        long px = floats(x, span(heads, headStride, rotaryDim));
        long half = rotaryDim / 2;
        try {
            CALL_ROTARY.invokeExact(
                    rotary, px, heads, headStride, rotaryDim, floats(cos, half), floats(sin, half));
        } catch (Throwable e) {
            throw failed(e);
        }
    }

    @Override
    public void causalConv(
            MemorySegment u,
            MemorySegment weight,
            MemorySegment state,
            MemorySegment y,
            int rows,
            int channels,
            int width,
            int channelBegin,
            int channelEnd) {
        if (width < 1 || width > MAX_CONV_WIDTH) {
            throw new IllegalArgumentException(
                    "convolution width must be 1 to " + MAX_CONV_WIDTH + ": " + width);
        }
        checkRange(channelBegin, channelEnd, channels);
        long all = (long) rows * channels;
        long pw = floats(weight, (long) channels * width);
        long ps = floats(state, (width - 1L) * channels);
        try {
            CALL_CAUSAL_CONV.invokeExact(
                    causalConv,
                    floats(u, all),
                    pw,
                    ps,
                    floats(y, all),
                    rows,
                    channels,
                    width,
                    channelBegin,
                    channelEnd);
        } catch (Throwable e) {
            throw failed(e);
        }
    }

    @Override
    public void deltaGates(
            MemorySegment a,
            MemorySegment b,
            MemorySegment aLog,
            MemorySegment dtBias,
            MemorySegment decay,
            MemorySegment beta,
            int rows,
            int heads) {
        long all = (long) rows * heads;
        try {
            CALL_DELTA_GATES.invokeExact(
                    deltaGates,
                    floats(a, all),
                    floats(b, all),
                    floats(aLog, heads),
                    floats(dtBias, heads),
                    floats(decay, all),
                    floats(beta, all),
                    rows,
                    heads);
        } catch (Throwable e) {
            throw failed(e);
        }
    }

    @Override
    public void gatedDeltaRule(
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
            int headEnd) {
        checkRange(headBegin, headEnd, valueHeads);
        long values = (long) rows * valueHeads * valueDim;
        long gates = (long) rows * valueHeads;
        long pqkv = floats(qkv, values + 2L * rows * keyHeads * keyDim);
        long ps = floats(state, (long) valueHeads * keyDim * valueDim);
        try {
            CALL_GATED_DELTA_RULE.invokeExact(
                    gatedDeltaRule,
                    pqkv,
                    floats(decay, gates),
                    floats(beta, gates),
                    ps,
                    floats(out, values),
                    rows,
                    keyHeads,
                    valueHeads,
                    keyDim,
                    valueDim,
                    headBegin,
                    headEnd);
        } catch (Throwable e) {
            throw failed(e);
        }
    }

    @Override
    public void attention(
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
            int headEnd) {
        checkRange(headBegin, headEnd, heads);
        long all = (long) rows * heads * layout.headDim();
        long blocks = Math.ceilDiv((long) length + rows - 1, layout.blockTokens());
        long pq = floats(q, all);
        try {
            CALL_ATTENTION.invokeExact(
                    attention,
                    pq,
                    rows,
                    kvCode(layout.format()),
                    bytes(pool, 0),
                    bytes(blockOffsets, Long.BYTES * blocks),
                    layout.blockTokens(),
                    length,
                    heads,
                    layout.kvHeads(),
                    layout.headDim(),
                    scale,
                    floats(out, all),
                    floats(scratch, Kernels.attentionScratch(layout.headDim())),
                    headBegin,
                    headEnd);
        } catch (Throwable e) {
            throw failed(e);
        }
    }

    private static int kvCode(KvFormat format) {
        return switch (format) {
            case F32 -> 0;
            case BF16 -> 1;
        };
    }

    @Override
    public void attentionSpan(
            MemorySegment q,
            KvLayout layout,
            MemorySegment pool,
            MemorySegment blockOffsets,
            int length,
            int spanIndex,
            int heads,
            float scale,
            MemorySegment part,
            MemorySegment scratch,
            int headBegin,
            int headEnd) {
        checkRange(headBegin, headEnd, heads);
        if (spanIndex < 0 || (long) spanIndex * ATTENTION_SPAN >= length) {
            throw new IndexOutOfBoundsException(
                    "span " + spanIndex + " of " + length + " positions");
        }
        long blocks = Math.ceilDiv(length, layout.blockTokens());
        try {
            CALL_SPAN.invokeExact(
                    span,
                    floats(q, (long) heads * layout.headDim()),
                    kvCode(layout.format()),
                    bytes(pool, 0),
                    bytes(blockOffsets, Long.BYTES * blocks),
                    layout.blockTokens(),
                    length,
                    spanIndex,
                    heads,
                    layout.kvHeads(),
                    layout.headDim(),
                    scale,
                    floats(part, Kernels.attentionPart(heads, layout.headDim())),
                    floats(scratch, Kernels.attentionScratch(layout.headDim())),
                    headBegin,
                    headEnd);
        } catch (Throwable e) {
            throw failed(e);
        }
    }

    @Override
    public void mergeSpans(
            MemorySegment parts,
            int spans,
            int heads,
            int headDim,
            MemorySegment out,
            int headBegin,
            int headEnd) {
        checkRange(headBegin, headEnd, heads);
        long pp = floats(parts, spans * Kernels.attentionPart(heads, headDim));
        try {
            CALL_MERGE_SPANS.invokeExact(
                    mergeSpans,
                    pp,
                    spans,
                    heads,
                    headDim,
                    floats(out, (long) heads * headDim),
                    headBegin,
                    headEnd);
        } catch (Throwable e) {
            throw failed(e);
        }
    }

    @Override
    public void toBf16(MemorySegment x, MemorySegment y, long n) {
        try {
            CALL_TO_BF16.invokeExact(toBf16, floats(x, n), bytes(y, Short.BYTES * n), n);
        } catch (Throwable e) {
            throw failed(e);
        }
    }

    @Override
    public void sigmoidGate(MemorySegment x, MemorySegment gate, int gateStride, int count, int n) {
        long pg = floats(gate, span(count, gateStride, n));
        try {
            CALL_SIGMOID_GATE.invokeExact(
                    sigmoidGate, floats(x, (long) count * n), pg, gateStride, count, n);
        } catch (Throwable e) {
            throw failed(e);
        }
    }

    @Override
    public void swiGlu(MemorySegment gateUp, MemorySegment y, int rows, int n) {
        long all = (long) rows * n;
        try {
            CALL_SWI_GLU.invokeExact(swiGlu, floats(gateUp, 2 * all), floats(y, all), rows, n);
        } catch (Throwable e) {
            throw failed(e);
        }
    }

    @Override
    public void routerTopK(
            MemorySegment logits,
            int rows,
            int experts,
            int k,
            MemorySegment ids,
            MemorySegment weights) {
        if (k > experts) {
            throw new IllegalArgumentException("top " + k + " of " + experts + " experts");
        }
        long chosen = (long) rows * k;
        try {
            CALL_ROUTER_TOP_K.invokeExact(
                    routerTopK,
                    floats(logits, (long) rows * experts),
                    rows,
                    experts,
                    k,
                    bytes(ids, 4 * chosen),
                    floats(weights, chosen));
        } catch (Throwable e) {
            throw failed(e);
        }
    }

    @Override
    public boolean combineAdd(
            MemorySegment y, float weight, MemorySegment acc, int n, int fractionBits) {
        try {
            return (int)
                            CALL_COMBINE_ADD.invokeExact(
                                    combineAdd,
                                    floats(y, n),
                                    weight,
                                    bytes(acc, 8L * n),
                                    n,
                                    fractionBits)
                    != 0;
        } catch (Throwable e) {
            throw failed(e);
        }
    }

    @Override
    public void combineToFloat(MemorySegment acc, MemorySegment y, int n, int fractionBits) {
        try {
            CALL_COMBINE_TO_FLOAT.invokeExact(
                    combineToFloat, bytes(acc, 8L * n), floats(y, n), n, fractionBits);
        } catch (Throwable e) {
            throw failed(e);
        }
    }

    @Override
    public void add(MemorySegment x, MemorySegment y, long n) {
        try {
            CALL_ADD.invokeExact(add, floats(x, n), floats(y, n), n);
        } catch (Throwable e) {
            throw failed(e);
        }
    }

    @Override
    public void addGated(
            MemorySegment x, MemorySegment y, MemorySegment gate, int gateStride, int rows, int n) {
        long all = (long) rows * n;
        long pg = floats(gate, span(rows, gateStride, 1));
        try {
            CALL_ADD_GATED.invokeExact(
                    addGated, floats(x, all), floats(y, all), pg, gateStride, rows, n);
        } catch (Throwable e) {
            throw failed(e);
        }
    }

    @Override
    public boolean laneMaxima(MemorySegment x, int n, MemorySegment maxima) {
        try {
            return (int)
                            CALL_LANE_MAXIMA.invokeExact(
                                    laneMaxima, floats(x, n), n, floats(maxima, Kernels.maxima(n)))
                    != 0;
        } catch (Throwable e) {
            throw failed(e);
        }
    }

    @Override
    public double sumExp(MemorySegment x, int n, float max) {
        try {
            return (double) CALL_SUM_EXP.invokeExact(sumExp, floats(x, n), n, max);
        } catch (Throwable e) {
            throw failed(e);
        }
    }

    @Override
    public long readSum(MemorySegment memory) {
        try {
            return (long)
                    CALL_READ_SUM.invokeExact(
                            readSum, bytes(memory, 0), memory.byteSize() / Long.BYTES);
        } catch (Throwable e) {
            throw failed(e);
        }
    }

    private static MethodHandle downcall(String signature) {
        return Linker.nativeLinker().downcallHandle(FunctionDescriptor.ofVoid(layouts(signature)));
    }

    private static MemoryLayout[] layouts(String signature) {
        return signature
                .chars()
                .mapToObj(
                        c ->
                                switch (c) {
                                    case 'p', 'l' -> JAVA_LONG;
                                    case 'i' -> JAVA_INT;
                                    case 'f' -> JAVA_FLOAT;
                                    default -> throw new IllegalArgumentException(signature);
                                })
                .toArray(MemoryLayout[]::new);
    }

    /// Floats from the first row's begin to the last row's end.
    private static long span(int rows, int stride, long n) {
        return rows == 0 ? 0 : (rows - 1L) * stride + n;
    }

    private static long floats(MemorySegment segment, long count) {
        return bytes(segment, 4 * count);
    }

    /// The address of a segment that holds that many bytes of native memory.
    private static long bytes(MemorySegment segment, long bytes) {
        if (segment.byteSize() < bytes) {
            throw new IndexOutOfBoundsException(
                    "segment has " + segment.byteSize() + " bytes, the kernel needs " + bytes);
        }
        if (!segment.isNative()) {
            throw new IllegalArgumentException("kernels work on native memory");
        }
        return segment.address();
    }

    private static void checkGroups(PackedMatrix w, int begin, int end) {
        checkRange(begin, end, w.groups());
    }

    private static void checkRange(int begin, int end, int size) {
        if (begin < 0 || end > size) {
            throw new IndexOutOfBoundsException("range " + begin + " to " + end + " of " + size);
        }
    }

    private static IllegalStateException failed(Throwable e) {
        switch (e) {
            case RuntimeException unchecked -> throw unchecked; // a size check
            case Error error -> throw error;
            default -> throw new IllegalStateException("call of a C kernel failed", e);
        }
    }
}

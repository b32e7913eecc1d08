package io.atoll.model.quant;

import io.atoll.model.checkpoint.DType;
import io.atoll.model.checkpoint.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;

/// Some rows of a matrix, read where they lie, so that a large one can be packed piece by piece and on several threads.
final class RowSlice extends AbstractMatrix {
    private final WeightMatrix source;
    private final int first;

    RowSlice(WeightMatrix source, int first, int count) {
        super(source.name(), count, source.cols());
        Objects.checkFromIndexSize(first, count, source.rows());
        this.source = source;
        this.first = first;
    }

    @Override
    public String encoding() {
        return source.encoding();
    }

    @Override
    public Optional<DType> plainType() {
        return source.plainType();
    }

    @Override
    public Optional<StoredCodes> codes() {
        return source.codes()
                .map(
                        whole ->
                                whole.withReader(
                                        (from, count, codes, scales, zeros) ->
                                                whole.reader()
                                                        .read(
                                                                first + from,
                                                                count,
                                                                codes,
                                                                scales,
                                                                zeros)));
    }

    @Override
    public Optional<Tensor> plain() {
        return source.plain().map(this::cut);
    }

    private Tensor cut(Tensor whole) {
        long rowBytes = whole.data().byteSize() / source.rows();
        return new Tensor(
                name(),
                whole.dtype(),
                new long[] {rows(), cols()},
                whole.data().asSlice(first * rowBytes, rows() * rowBytes),
                whole.file());
    }

    @Override
    public Optional<StoredBlocks> blocks() {
        return source.blocks().map(this::cut);
    }

    private StoredBlocks cut(StoredBlocks whole) {
        long rowBytes = whole.type().bytes(cols());
        long from = first * rowBytes;
        long to = from + rows() * rowBytes;
        List<MemorySegment> runs = new ArrayList<>();
        long at = 0;
        for (MemorySegment run : whole.rows()) {
            long begin = Math.max(from, at);
            long end = Math.min(to, at + run.byteSize());
            if (begin < end) {
                runs.add(run.asSlice(begin - at, end - begin));
            }
            at += run.byteSize();
        }
        return new StoredBlocks(whole.type(), runs);
    }

    @Override
    void decode(int from, int count, float[] out, int to) {
        source.decodeRows(first + from, count, out, to);
    }
}

package io.atoll.expert.transfer;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.zip.CRC32C;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.vector.BigIntVector;
import org.apache.arrow.vector.IntVector;
import org.apache.arrow.vector.VarBinaryVector;
import org.apache.arrow.vector.VarCharVector;
import org.apache.arrow.vector.VectorSchemaRoot;
import org.apache.arrow.vector.types.pojo.ArrowType;
import org.apache.arrow.vector.types.pojo.Field;
import org.apache.arrow.vector.types.pojo.Schema;

/// The record batches in which an expert travels, one row each: a part of a matrix, parts of a matrix in order, matrices in the order
/// gate, up, down.
///
/// | column | is |
/// | --- | --- |
/// | `matrix` | `gate`, `up` or `down` |
/// | `format` | a `WeightFormat` |
/// | `rows`, `cols` | of the matrix |
/// | `offset` | of the part in the packed matrix, in bytes |
/// | `crc32c` | of the part (RFC 3720, appendix B.4) |
/// | `data` | the part, at most 1 MiB |
final class ExpertParts implements AutoCloseable {
    /// Most bytes of one part.
    static final int PART_BYTES = 1 << 20;

    static final List<String> MATRICES = List.of("gate", "up", "down");

    private static final Schema SCHEMA =
            new Schema(
                    List.of(
                            Field.notNullable("matrix", new ArrowType.Utf8()),
                            Field.notNullable("format", new ArrowType.Utf8()),
                            Field.notNullable("rows", new ArrowType.Int(32, true)),
                            Field.notNullable("cols", new ArrowType.Int(32, true)),
                            Field.notNullable("offset", new ArrowType.Int(64, true)),
                            Field.notNullable("crc32c", new ArrowType.Int(64, true)),
                            Field.notNullable("data", new ArrowType.Binary())));

    private final VectorSchemaRoot root;

    private ExpertParts(VectorSchemaRoot root) {
        this.root = root;
    }

    /// To be filled, and closed.
    static ExpertParts allocate(BufferAllocator allocator) {
        return new ExpertParts(VectorSchemaRoot.create(SCHEMA, allocator));
    }

    /// What was received; its owner closes it.
    ///
    /// @throws ExpertTransferException if it is no part
    static ExpertParts of(VectorSchemaRoot received) {
        if (!received.getSchema().getFields().equals(SCHEMA.getFields())) {
            throw new ExpertTransferException(
                    "a part has the schema " + received.getSchema() + ", expected " + SCHEMA);
        }
        return new ExpertParts(received);
    }

    VectorSchemaRoot root() {
        return root;
    }

    /// Makes it the part of a matrix.
    void set(String matrix, String format, int rows, int cols, long offset, MemorySegment part) {
        root.allocateNew();
        ((VarCharVector) root.getVector("matrix")).setSafe(0, matrix.getBytes(UTF_8));
        ((VarCharVector) root.getVector("format")).setSafe(0, format.getBytes(UTF_8));
        ((IntVector) root.getVector("rows")).setSafe(0, rows);
        ((IntVector) root.getVector("cols")).setSafe(0, cols);
        ((BigIntVector) root.getVector("offset")).setSafe(0, offset);
        ((BigIntVector) root.getVector("crc32c")).setSafe(0, checksum(part));
        ((VarBinaryVector) root.getVector("data"))
                .setSafe(0, part.asByteBuffer(), 0, Math.toIntExact(part.byteSize()));
        root.setRowCount(1);
    }

    /// Whether there is one part.
    boolean isOne() {
        return root.getRowCount() == 1;
    }

    String matrix() {
        return text("matrix");
    }

    String format() {
        return text("format");
    }

    private String text(String column) {
        return new String(((VarCharVector) root.getVector(column)).get(0), UTF_8);
    }

    int rows() {
        return ((IntVector) root.getVector("rows")).get(0);
    }

    int cols() {
        return ((IntVector) root.getVector("cols")).get(0);
    }

    long offset() {
        return ((BigIntVector) root.getVector("offset")).get(0);
    }

    /// The bytes of the part, if they have the checksum that came with them.
    ///
    /// @throws ExpertTransferException if not
    MemorySegment data() {
        VarBinaryVector column = (VarBinaryVector) root.getVector("data");
        MemorySegment data =
                MemorySegment.ofAddress(
                                column.getDataBuffer().memoryAddress() + column.getStartOffset(0))
                        .reinterpret(column.getValueLength(0));
        long expected = ((BigIntVector) root.getVector("crc32c")).get(0);
        long found = checksum(data);
        if (found != expected) {
            throw new ExpertTransferException(
                    "%s at %d: checksum %08x, expected %08x"
                            .formatted(matrix(), offset(), found, expected));
        }
        return data;
    }

    private static long checksum(MemorySegment data) {
        CRC32C checksum = new CRC32C();
        checksum.update(data.asByteBuffer());
        return checksum.getValue();
    }

    @Override
    public void close() {
        root.close();
    }
}

package io.atoll.proto.wire;

import io.atoll.proto.v1.RowType;

/// What the rows of a dispatch are made of; agreed in the hello.
public enum RowFormat {
    /// `hidden` floats a row.
    F32,
    /// `hidden` signed bytes a row, and one float scale for each [#BLOCK] of them.
    Q8;

    /// Elements of one quantised block.
    public static final int BLOCK = 32;

    /// Bytes of the `hidden` column for one row.
    public int rowBytes(int hidden) {
        return this == F32 ? Math.multiplyExact(hidden, Float.BYTES) : hidden;
    }

    /// Bytes of the `scales` column for one row.
    public int scaleBytes(int hidden) {
        return this == F32 ? 0 : hidden / BLOCK * Float.BYTES;
    }

    /// Its name in the hello.
    public RowType toProto() {
        return this == F32 ? RowType.ROW_TYPE_F32 : RowType.ROW_TYPE_Q8;
    }
}

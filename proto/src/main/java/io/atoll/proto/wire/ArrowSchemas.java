package io.atoll.proto.wire;

import com.google.flatbuffers.FlatBufferBuilder;
import com.google.flatbuffers.Table;
import io.atoll.proto.wire.FlightMessage.Part;
import java.nio.ByteBuffer;
import org.apache.arrow.flatbuf.Endianness;
import org.apache.arrow.flatbuf.Field;
import org.apache.arrow.flatbuf.FixedSizeList;
import org.apache.arrow.flatbuf.FloatingPoint;
import org.apache.arrow.flatbuf.Int;
import org.apache.arrow.flatbuf.Message;
import org.apache.arrow.flatbuf.MessageHeader;
import org.apache.arrow.flatbuf.MetadataVersion;
import org.apache.arrow.flatbuf.Precision;
import org.apache.arrow.flatbuf.Schema;
import org.apache.arrow.flatbuf.Struct_;
import org.apache.arrow.flatbuf.Type;

/// The schemas that open a stream, written as Arrow metadata and checked field by field.
///
/// - request, F32: `hidden: FixedSizeList<float32>[hidden]`, `routes: List<Struct<expert: int32, weight: float32>>`
/// - request, Q8: `hidden: FixedSizeList<int8>[hidden]`, `scales: FixedSizeList<float32>[hidden / 32]`, `routes`
/// - exact sums: `sum: FixedSizeList<int32>[hidden]`, `wide: List<int64>`. A row whose sum does not fit int32 has zeros in
///   `sum` and `hidden` elements in `wide`; other rows have an empty list.
/// - float sums: `sum: FixedSizeList<float32>[hidden]`
///
/// All fields are declared non-null. A peer may declare them nullable and name the items of its lists as it likes; the
/// columns and the struct's fields have to have these names, types and sizes.
public final class ArrowSchemas {
    private static final String ITEM = "item";

    private ArrowSchemas() {}

    /// The schema message of a request.
    public static byte[] request(RowFormat format, int hidden) {
        FlatBufferBuilder out = new FlatBufferBuilder(1024);
        int routes = routes(out);
        int[] fields =
                switch (format) {
                    case F32 -> new int[] {floats(out, "hidden", hidden), routes};
                    case Q8 ->
                            new int[] {
                                fixedList(out, "hidden", hidden, integer(out, ITEM, 8)),
                                floats(out, "scales", hidden / RowFormat.BLOCK),
                                routes
                            };
                };
        return message(out, fields);
    }

    /// The schema message of exact sums.
    public static byte[] exactSums(int hidden) {
        FlatBufferBuilder out = new FlatBufferBuilder(1024);
        int sum = fixedList(out, "sum", hidden, integer(out, ITEM, 32));
        return message(out, new int[] {sum, list(out, "wide", integer(out, ITEM, 64))});
    }

    /// The schema message of float sums.
    public static byte[] floatSums(int hidden) {
        FlatBufferBuilder out = new FlatBufferBuilder(1024);
        return message(out, new int[] {floats(out, "sum", hidden)});
    }

    private static int routes(FlatBufferBuilder out) {
        int[] parts = {integer(out, "expert", 32), floating(out, "weight")};
        Struct_.startStruct_(out);
        int struct = Struct_.endStruct_(out);
        return list(out, "routes", field(out, ITEM, Type.Struct_, struct, parts));
    }

    private static int integer(FlatBufferBuilder out, String name, int bits) {
        return field(out, name, Type.Int, Int.createInt(out, bits, true));
    }

    private static int floating(FlatBufferBuilder out, String name) {
        int type = FloatingPoint.createFloatingPoint(out, Precision.SINGLE);
        return field(out, name, Type.FloatingPoint, type);
    }

    private static int floats(FlatBufferBuilder out, String name, int size) {
        return fixedList(out, name, size, floating(out, ITEM));
    }

    private static int fixedList(FlatBufferBuilder out, String name, int size, int item) {
        int type = FixedSizeList.createFixedSizeList(out, size);
        return field(out, name, Type.FixedSizeList, type, item);
    }

    private static int list(FlatBufferBuilder out, String name, int item) {
        org.apache.arrow.flatbuf.List.startList(out);
        int type = org.apache.arrow.flatbuf.List.endList(out);
        return field(out, name, Type.List, type, item);
    }

    private static int field(
            FlatBufferBuilder out, String name, byte kind, int type, int... children) {
        int nameOffset = out.createString(name);
        int childOffset = Field.createChildrenVector(out, children);
        return Field.createField(out, nameOffset, false, kind, type, 0, childOffset, 0);
    }

    private static byte[] message(FlatBufferBuilder out, int[] fields) {
        int vector = Schema.createFieldsVector(out, fields);
        int schema = Schema.createSchema(out, Endianness.Little, vector, 0, 0);
        Message.finishMessageBuffer(
                out,
                Message.createMessage(out, MetadataVersion.V5, MessageHeader.Schema, schema, 0, 0));
        return out.sizedByteArray();
    }

    /// Checks the schema of a request.
    ///
    /// @throws MalformedMessageException naming the first field that is not as described above
    public static void checkRequest(FlightMessage message, RowFormat format, int hidden)
            throws MalformedMessageException {
        check(
                message,
                schema -> {
                    int columns = format == RowFormat.F32 ? 2 : 3;
                    expect("fields", schema.fieldsLength(), columns);
                    Field item = fixedList(schema.fields(0), "hidden", hidden);
                    if (format == RowFormat.F32) {
                        checkFloat(item, "hidden.item");
                    } else {
                        checkInt(item, "hidden.item", 8);
                        Field scale =
                                fixedList(schema.fields(1), "scales", hidden / RowFormat.BLOCK);
                        checkFloat(scale, "scales.item");
                    }
                    Field route = list(schema.fields(columns - 1), "routes");
                    checkType(route, "routes.item", Type.Struct_, 2);
                    checkName(route.children(0), "expert", "routes.item.expert");
                    checkInt(route.children(0), "routes.item.expert", 32);
                    checkName(route.children(1), "weight", "routes.item.weight");
                    checkFloat(route.children(1), "routes.item.weight");
                });
    }

    /// Checks the schema of exact sums.
    public static void checkExactSums(FlightMessage message, int hidden)
            throws MalformedMessageException {
        check(
                message,
                schema -> {
                    expect("fields", schema.fieldsLength(), 2);
                    checkInt(fixedList(schema.fields(0), "sum", hidden), "sum.item", 32);
                    checkInt(list(schema.fields(1), "wide"), "wide.item", 64);
                });
    }

    /// Whether a message's metadata is a schema, and not a record batch.
    public static boolean isSchema(FlightMessage message) throws MalformedMessageException {
        try {
            return message.hasHeader()
                    && Message.getRootAsMessage(message.view(Part.HEADER)).headerType()
                            == MessageHeader.Schema;
        } catch (IndexOutOfBoundsException _) {
            throw outside();
        }
    }

    private interface SchemaCheck {
        void accept(Schema schema) throws MalformedMessageException;
    }

    private static void check(FlightMessage message, SchemaCheck check)
            throws MalformedMessageException {
        if (!message.hasHeader()) {
            throw new MalformedMessageException("data_header", "missing, expected a schema");
        }
        ByteBuffer header = message.view(Part.HEADER);
        try {
            Message root = Message.getRootAsMessage(header);
            if (root.headerType() != MessageHeader.Schema) {
                throw new MalformedMessageException(
                        "data_header", "message of type " + root.headerType() + ", not a schema");
            }
            Table table = root.header(new Schema());
            if (!(table instanceof Schema schema)) {
                throw new MalformedMessageException("data_header.header", "missing");
            }
            expect("schema.endianness", schema.endianness(), Endianness.Little);
            check.accept(schema);
        } catch (IndexOutOfBoundsException _) {
            throw outside();
        } catch (IllegalArgumentException e) {
            // A name that is not UTF-8.
            throw new MalformedMessageException("data_header", String.valueOf(e.getMessage()));
        }
    }

    static MalformedMessageException outside() {
        return new MalformedMessageException("data_header", "points outside itself");
    }

    private static void expect(String what, long actual, long expected)
            throws MalformedMessageException {
        if (actual != expected) {
            throw new MalformedMessageException(what, actual + ", expected " + expected);
        }
    }

    private static void checkName(Field field, String name, String path)
            throws MalformedMessageException {
        if (field == null || !name.equals(field.name())) {
            throw new MalformedMessageException(
                    path,
                    "named '" + (field == null ? "" : field.name()) + "', expected '" + name + "'");
        }
    }

    private static void checkType(Field field, String path, byte kind, int children)
            throws MalformedMessageException {
        if (field == null) {
            throw new MalformedMessageException(path, "missing");
        }
        if (field.typeType() != kind) {
            throw new MalformedMessageException(
                    path, "of type " + typeName(field.typeType()) + ", expected " + typeName(kind));
        }
        if (field.dictionary() != null) {
            throw new MalformedMessageException(path, "dictionary-encoded");
        }
        expect(path + ".children", field.childrenLength(), children);
    }

    private static String typeName(byte kind) {
        return kind >= 0 && kind < Type.names.length ? Type.name(kind) : "number " + kind;
    }

    private static Field fixedList(Field field, String name, int size)
            throws MalformedMessageException {
        checkName(field, name, name);
        checkType(field, name, Type.FixedSizeList, 1);
        FixedSizeList type = (FixedSizeList) field.type(new FixedSizeList());
        expect(name + ".listSize", type == null ? 0 : type.listSize(), size);
        return field.children(0);
    }

    private static Field list(Field field, String name) throws MalformedMessageException {
        checkName(field, name, name);
        checkType(field, name, Type.List, 1);
        return field.children(0);
    }

    private static void checkFloat(Field field, String path) throws MalformedMessageException {
        checkType(field, path, Type.FloatingPoint, 0);
        FloatingPoint type = (FloatingPoint) field.type(new FloatingPoint());
        expect(path + ".precision", type == null ? -1 : type.precision(), Precision.SINGLE);
    }

    private static void checkInt(Field field, String path, int bits)
            throws MalformedMessageException {
        checkType(field, path, Type.Int, 0);
        Int type = (Int) field.type(new Int());
        expect(path + ".bitWidth", type == null ? 0 : type.bitWidth(), bits);
        if (!type.isSigned()) {
            throw new MalformedMessageException(path, "unsigned, expected signed");
        }
    }
}

package io.atoll.proto.wire;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.CodedOutputStream;
import com.google.protobuf.UnknownFieldSet;
import io.atoll.proto.wire.FlightMessage.Part;
import java.io.ByteArrayOutputStream;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class FlightMessageMarshallerTest {
    private static final byte[] DESCRIPTOR = {8, 1, 26, 1, 65};
    private static final byte[] HEADER = new byte[300];
    private static final byte[] METADATA = new byte[17];

    static {
        new Random(1).nextBytes(HEADER);
        new Random(2).nextBytes(METADATA);
    }

    @Test
    void protobufReadsWhatTheMarshallerWrites() throws Exception {
        FlightMessage message = FlightMessage.of(WireBytes.POOL, DESCRIPTOR, HEADER, METADATA);
        UnknownFieldSet fields = UnknownFieldSet.parseFrom(WireBytes.drain(message));
        assertArrayEquals(DESCRIPTOR, only(fields, 1));
        assertArrayEquals(HEADER, only(fields, 2));
        assertArrayEquals(METADATA, only(fields, 3));
        assertEquals(3, fields.asMap().size());
    }

    private static byte[] only(UnknownFieldSet fields, int number) {
        return fields.getField(number).getLengthDelimitedList().getFirst().toByteArray();
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 7, 64, 100_000})
    void bodyArrivesAlignedHoweverTheTransportCutsIt(int piece) throws Exception {
        byte[] body = new byte[70_001];
        new Random(3).nextBytes(body);
        byte[] wire = frame(HEADER, METADATA, body);
        try (FlightMessage message = WireBytes.parse(wire, piece)) {
            assertTrue(message.problem().isEmpty());
            assertArrayEquals(HEADER, message.copy(Part.HEADER));
            assertArrayEquals(METADATA, message.metadata());
            assertArrayEquals(body, message.copy(Part.BODY));
            assertEquals(
                    0, (message.memory().address() + message.offset(Part.BODY)) % 64, "alignment");
        }
    }

    @Test
    void transportWithoutBuffersIsRead() throws Exception {
        byte[] body = new byte[40_000];
        new Random(4).nextBytes(body);
        try (FlightMessage message = WireBytes.parsePlain(frame(HEADER, METADATA, body))) {
            assertArrayEquals(body, message.copy(Part.BODY));
        }
    }

    @Test
    void unknownFieldsAreSkipped() throws Exception {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        CodedOutputStream out = CodedOutputStream.newInstance(bytes);
        out.writeUInt64(77, -1L);
        out.writeFixed64(78, 5);
        out.writeByteArray(3, METADATA);
        out.writeFixed32(79, 5);
        out.writeByteArray(80, HEADER);
        out.flush();
        try (FlightMessage message = WireBytes.parse(bytes.toByteArray())) {
            assertTrue(message.problem().isEmpty());
            assertArrayEquals(METADATA, message.metadata());
        }
    }

    @Test
    void fieldThatOccursTwiceIsRefused() throws Exception {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        bytes.writeBytes(frame(HEADER, METADATA, new byte[8]));
        bytes.writeBytes(frame(HEADER, METADATA, new byte[8]));
        assertProblem(bytes.toByteArray(), "FlightData.HEADER");
    }

    @Test
    void lengthPastTheMessageIsRefused() {
        assertProblem(new byte[] {2 << 3 | 2, 100, 1, 2}, "FlightData.HEADER");
    }

    @Test
    void hugeLengthIsRefusedWithoutAllocating() {
        byte[] wire = {(byte) 0xc2, 0x3e, (byte) 0xff, (byte) 0xff, (byte) 0xff, (byte) 0xff, 0x0f};
        assertProblem(wire, "FlightData.BODY");
    }

    @Test
    void endlessVarintIsRefused() {
        byte[] wire = new byte[12];
        java.util.Arrays.fill(wire, (byte) 0xff);
        assertProblem(wire, "FlightData");
    }

    @Test
    void groupIsRefused() {
        assertProblem(new byte[] {5 << 3 | 3}, "FlightData.field 5");
    }

    @Test
    void sentMessageGivesItsBufferBack() throws Exception {
        FlightMessage message = FlightMessage.of(WireBytes.POOL, DESCRIPTOR, HEADER, METADATA);
        long before = WireBytes.POOL.retainedBytes();
        WireBytes.drain(message);
        assertEquals(4096, WireBytes.POOL.retainedBytes() - before);
    }

    private static void assertProblem(byte[] wire, String field) {
        try (FlightMessage message = WireBytes.parse(wire)) {
            assertEquals(field, message.problem().orElseThrow().field());
        }
    }

    private static byte[] frame(byte[] header, byte[] metadata, byte[] body) throws Exception {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        CodedOutputStream out = CodedOutputStream.newInstance(bytes);
        out.writeByteArray(2, header);
        out.writeByteArray(3, metadata);
        out.writeByteArray(1000, body);
        out.flush();
        return bytes.toByteArray();
    }
}

package io.atoll.proto.wire;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.proto.ErrorCode;
import io.atoll.proto.Failure;
import io.atoll.proto.v1.Hello;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class BatchRoundTripTest {
    private static final int HIDDEN = 96;
    private static final int EXPERTS = 40;

    @ParameterizedTest
    @EnumSource(RowFormat.class)
    void rowsAndRoutesComeBackAsSent(RowFormat format) throws Exception {
        int rows = 9;
        Random random = new Random(11);
        RequestWriter writer = new RequestWriter(WireBytes.POOL, format, HIDDEN);
        byte[] data = new byte[rows * format.rowBytes(HIDDEN)];
        byte[] scales = new byte[rows * format.scaleBytes(HIDDEN)];
        random.nextBytes(data);
        random.nextBytes(scales);
        writer.start(rows, rows * (rows - 1) / 2);
        for (int row = 0; row < rows; row++) {
            long at = (long) row * format.rowBytes(HIDDEN);
            if (format == RowFormat.Q8) {
                long scaleAt = (long) row * format.scaleBytes(HIDDEN);
                writer.row(WireBytes.segment(data), at, WireBytes.segment(scales), scaleAt);
            } else {
                writer.row(WireBytes.segment(data), at);
            }
            for (int i = 0; i < row; i++) {
                writer.route(row + i, row + 0.5f * i);
            }
        }
        DispatchHeader header = new DispatchHeader(7, 1L << 40, 3, rows, -5);
        try (FlightMessage message = WireBytes.parse(WireBytes.drain(writer.finish(header)))) {
            var request = new RequestReader(format, HIDDEN, EXPERTS).read(message);
            assertEquals(header, request.header());
            assertEquals(rows, request.rows());
            assertArrayEquals(data, WireBytes.bytes(request.hidden()));
            assertArrayEquals(scales, WireBytes.bytes(request.scales()));
            assertEquals(0, request.hidden().address() % 64);
            assertEquals(0, request.weights().address() % 64);
            int route = 0;
            for (int row = 0; row < rows; row++) {
                assertEquals(route, request.routeOffsets().getAtIndex(JAVA_INT, row));
                for (int i = 0; i < row; i++, route++) {
                    assertEquals(row + i, request.experts().getAtIndex(JAVA_INT, route));
                    assertEquals(row + 0.5f * i, request.weights().getAtIndex(JAVA_FLOAT, route));
                }
            }
            assertEquals(route, request.routeOffsets().getAtIndex(JAVA_INT, rows));
        }
    }

    @Test
    void rowsTheSumsOfWhichPassInt32TravelAsInt64() throws Exception {
        long[] values = {Integer.MAX_VALUE, Integer.MIN_VALUE, 1L << 31, -(1L << 31) - 1, 1L << 61};
        int rows = values.length;
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment sums = arena.allocate(8L * rows * HIDDEN, 8);
            for (int row = 0; row < rows; row++) {
                for (int i = 0; i < HIDDEN; i++) {
                    sums.setAtIndex(JAVA_LONG, (long) row * HIDDEN + i, i == 5 ? values[row] : -i);
                }
            }
            ReplyHeader header = new ReplyHeader(99, 4, rows, 1, 2, 3, 4);
            FlightMessage sent = new SumWriter(WireBytes.POOL, HIDDEN).exact(header, sums);
            try (FlightMessage message = WireBytes.parse(WireBytes.drain(sent))) {
                SumReader.Sums read = new SumReader(HIDDEN).read(message);
                assertEquals(header, read.header());
                assertTrue(read.failure().isEmpty());
                MemorySegment twice = arena.allocate(8L * rows * HIDDEN, 8);
                for (int row = 0; row < rows; row++) {
                    assertEquals(row >= 2, read.isWide(row), "row " + row);
                    read.addRow(row, twice, 8L * row * HIDDEN);
                    read.addRow(row, twice, 8L * row * HIDDEN);
                }
                for (int i = 0; i < rows * HIDDEN; i++) {
                    assertEquals(2 * sums.getAtIndex(JAVA_LONG, i), twice.getAtIndex(JAVA_LONG, i));
                }
            }
        }
    }

    @Test
    void errorReplyKeepsCodeAndMessage() throws Exception {
        Failure failure = new Failure(ErrorCode.EXPERT_NOT_HELD, "layer=3 expert=7 — w1");
        ReplyHeader header = new ReplyHeader(5, 1, 2, 0, 0, 10, 0);
        FlightMessage sent = header.error(WireBytes.POOL, failure);
        try (FlightMessage message = WireBytes.parse(WireBytes.drain(sent))) {
            SumReader.Sums read = new SumReader(HIDDEN).read(message);
            assertEquals(failure, read.failure().orElseThrow());
            assertEquals(header, read.header());
        }
    }

    @ParameterizedTest
    @EnumSource(RowFormat.class)
    void schemaOfOneFormatIsAcceptedForItAndRefusedForTheOther(RowFormat format) throws Exception {
        RowFormat other = format == RowFormat.F32 ? RowFormat.Q8 : RowFormat.F32;
        try (FlightMessage message = schema(ArrowSchemas.request(format, HIDDEN))) {
            assertTrue(ArrowSchemas.isSchema(message));
            ArrowSchemas.checkRequest(message, format, HIDDEN);
            assertThrows(
                    MalformedMessageException.class,
                    () -> ArrowSchemas.checkRequest(message, other, HIDDEN));
            MalformedMessageException size =
                    assertThrows(
                            MalformedMessageException.class,
                            () -> ArrowSchemas.checkRequest(message, format, 2 * HIDDEN));
            assertEquals("hidden.listSize: 96, expected 192", size.getMessage());
            assertThrows(
                    MalformedMessageException.class,
                    () -> ArrowSchemas.checkExactSums(message, HIDDEN));
        }
    }

    @Test
    void schemaOfSumsIsAccepted() throws Exception {
        try (FlightMessage message = schema(ArrowSchemas.exactSums(HIDDEN))) {
            ArrowSchemas.checkExactSums(message, HIDDEN);
        }
    }

    private static FlightMessage schema(byte[] header) {
        return FlightMessage.of(WireBytes.POOL, new byte[0], header, new byte[0]);
    }

    @Test
    void batchIsNotASchema() throws Exception {
        DispatchHeader header = new DispatchHeader(0, 1, 0, 2, 10);
        try (FlightMessage message =
                WireBytes.request(RowFormat.F32, HIDDEN, EXPERTS, 2, header, new Random(1))) {
            assertFalse(ArrowSchemas.isSchema(message));
        }
    }

    @Test
    void descriptorsComeBackAsSent() throws Exception {
        var hello = new ExchangeDescriptor.Exact(Hello.newBuilder().setClusterId("c").build());
        var floats = new ExchangeDescriptor.Floats(12);
        assertEquals(hello, ExchangeDescriptor.parse(ExchangeDescriptor.encode(hello)));
        assertEquals(floats, ExchangeDescriptor.parse(ExchangeDescriptor.encode(floats)));
    }

    @Test
    void mismatchNamesBothSides() {
        Hello ours = Hello.newBuilder().setSender("w1").setModelDigest("aa").build();
        Hello theirs =
                Hello.newBuilder().setSender("a1").setModelDigest("bb").setHiddenSize(4).build();
        assertEquals(
                "model digest: w1 has 'aa', a1 has 'bb'; hidden size: w1 has '0', a1 has '4'",
                Handshake.mismatch(ours, theirs).orElseThrow());
    }

    @Test
    void onlyAnOlderEpochIsRefused() {
        Hello five = Hello.newBuilder().setPlacementEpoch(5).build();
        Hello six = Hello.newBuilder().setPlacementEpoch(6).build();
        assertTrue(Handshake.mismatch(five, six).isEmpty());
        assertTrue(Handshake.mismatch(six, five).orElseThrow().contains("placement epoch"));
    }
}

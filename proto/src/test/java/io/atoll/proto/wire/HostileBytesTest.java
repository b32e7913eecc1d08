package io.atoll.proto.wire;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.proto.v1.Hello;
import io.atoll.proto.wire.FlightMessage.Part;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/// Mutated messages may be refused or, where the mutation hit data, accepted; nothing else may happen.
class HostileBytesTest {
    private static final int HIDDEN = 32;
    private static final int EXPERTS = 8;
    private static final int MUTATIONS = 20_000;

    private static final long SEED = seed();

    private static long seed() {
        String given = System.getProperty("seed", "");
        // Surefire passes an unset property on as its own placeholder.
        return given.isEmpty() || given.startsWith("$") ? System.nanoTime() : Long.parseLong(given);
    }

    @ParameterizedTest
    @EnumSource(RowFormat.class)
    void mutatedRequestsAreReadOrRefusedByName(RowFormat format) throws Exception {
        Random random = new Random(SEED);
        RequestReader reader = new RequestReader(format, HIDDEN, EXPERTS);
        byte[] valid = request(format, random);
        int refused = 0;
        for (int i = 0; i < MUTATIONS; i++) {
            byte[] wire = mutate(valid, random);
            try (FlightMessage message = WireBytes.parse(wire)) {
                if (message.problem().isPresent()) {
                    refused++;
                    continue;
                }
                var request = reader.read(message);
                checkWithin(request);
            } catch (MalformedMessageException _) {
                refused++;
            } catch (RuntimeException | Error e) {
                throw new AssertionError("-Dseed=" + SEED + " mutation " + i, e);
            }
        }
        assertTrue(refused > MUTATIONS / 10, "only " + refused + " refused, -Dseed=" + SEED);
    }

    /// Touches the first and last byte of everything the reader vouched for.
    private static void checkWithin(RequestReader.Request request) {
        for (MemorySegment part :
                new MemorySegment[] {
                    request.hidden(), request.scales(), request.routeOffsets(), request.experts()
                }) {
            if (part.byteSize() > 0) {
                part.get(JAVA_BYTE, 0);
                part.get(JAVA_BYTE, part.byteSize() - 1);
            }
        }
        int last = request.routeOffsets().getAtIndex(JAVA_INT, request.rows());
        if (last > 0) {
            int expert = request.experts().getAtIndex(JAVA_INT, last - 1);
            assertTrue(expert >= 0 && expert < EXPERTS);
        }
    }

    @Test
    void mutatedSumsAreReadOrRefusedByName() throws Exception {
        Random random = new Random(SEED);
        byte[] valid;
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment sums = arena.allocate(8L * 3 * HIDDEN, 8);
            sums.setAtIndex(JAVA_LONG, HIDDEN + 3, 1L << 50);
            ReplyHeader header = new ReplyHeader(1, 0, 3, 1, 1, 1, 1);
            valid = WireBytes.drain(new SumWriter(WireBytes.POOL, HIDDEN).exact(header, sums));
            SumReader reader = new SumReader(HIDDEN);
            for (int i = 0; i < MUTATIONS; i++) {
                try (FlightMessage message = WireBytes.parse(mutate(valid, random))) {
                    if (message.problem().isEmpty()) {
                        SumReader.Sums read = reader.read(message);
                        if (read.failure().isEmpty()) {
                            for (int row = 0; row < read.header().rows(); row++) {
                                read.addRow(row, sums, 0);
                            }
                        }
                    }
                } catch (MalformedMessageException _) {
                    // Refused by name.
                } catch (RuntimeException | Error e) {
                    throw new AssertionError("-Dseed=" + SEED + " mutation " + i, e);
                }
            }
        }
    }

    @Test
    void mutatedOpeningsAreReadOrRefusedByName() throws Exception {
        Random random = new Random(SEED);
        byte[] descriptor =
                ExchangeDescriptor.encode(
                        new ExchangeDescriptor.Exact(
                                Hello.newBuilder().setSender("a").setClusterId("c").build()));
        byte[] path = ExchangeDescriptor.encode(new ExchangeDescriptor.Floats(3));
        byte[] schema = ArrowSchemas.request(RowFormat.Q8, HIDDEN);
        for (int i = 0; i < MUTATIONS; i++) {
            byte[] header = mutate(schema, random);
            try (FlightMessage message =
                    FlightMessage.of(WireBytes.POOL, new byte[0], header, new byte[0])) {
                ArrowSchemas.isSchema(message);
                ArrowSchemas.checkRequest(message, RowFormat.Q8, HIDDEN);
            } catch (MalformedMessageException _) {
                // Refused by name.
            } catch (RuntimeException | Error e) {
                throw new AssertionError("-Dseed=" + SEED + " schema mutation " + i, e);
            }
            try {
                ExchangeDescriptor.parse(mutate(i % 2 == 0 ? descriptor : path, random));
            } catch (MalformedMessageException _) {
                // Refused by name.
            } catch (RuntimeException | Error e) {
                throw new AssertionError("-Dseed=" + SEED + " descriptor mutation " + i, e);
            }
        }
    }

    private static byte[] request(RowFormat format, Random random) throws Exception {
        DispatchHeader header = new DispatchHeader(2, 77, 0, 5, 1000);
        return WireBytes.drain(WireBytes.request(format, HIDDEN, EXPERTS, 5, header, random));
    }

    private static byte[] mutate(byte[] valid, Random random) {
        byte[] bytes = valid.clone();
        int changes = 1 + random.nextInt(3);
        for (int i = 0; i < changes && bytes.length > 8; i++) {
            int at = random.nextInt(bytes.length);
            switch (random.nextInt(6)) {
                case 0 -> bytes[at] = (byte) random.nextInt();
                case 1 -> bytes[at] ^= (byte) (1 << random.nextInt(8));
                case 2 -> bytes = Arrays.copyOf(bytes, at + 1);
                case 3 -> bytes = Arrays.copyOf(bytes, bytes.length + 1 + random.nextInt(9));
                case 4 -> {
                    int word = Math.min(at, bytes.length - 4);
                    int[] extremes = {-1, Integer.MAX_VALUE, Integer.MIN_VALUE, 0, 1 << 20};
                    ByteBuffer.wrap(bytes).putInt(word, extremes[random.nextInt(5)]);
                }
                default -> {
                    int from = random.nextInt(bytes.length - 4);
                    System.arraycopy(bytes, from, bytes, Math.min(at, bytes.length - 4), 4);
                }
            }
        }
        return bytes;
    }

    @Test
    void offsetsThatDescendAreRefused() throws Exception {
        assertRefused("routes.offsets[2]", 1, request -> request.routeOffsets(), 2, -1);
    }

    @Test
    void offsetsPastTheRoutesAreRefused() throws Exception {
        assertRefused("routes.offsets[5]", 1, request -> request.routeOffsets(), 5, 1000);
    }

    @Test
    void expertPastTheModelIsRefused() throws Exception {
        assertRefused("routes[1].expert", 3, request -> request.experts(), 1, EXPERTS);
    }

    private interface Slice {
        MemorySegment of(RequestReader.Request request);
    }

    private static void assertRefused(String field, long seed, Slice slice, int index, int value)
            throws Exception {
        RequestReader reader = new RequestReader(RowFormat.F32, HIDDEN, EXPERTS);
        byte[] wire = request(RowFormat.F32, new Random(seed));
        try (FlightMessage message = WireBytes.parse(wire)) {
            slice.of(reader.read(message)).setAtIndex(JAVA_INT, index, value);
            MalformedMessageException refusal =
                    assertThrows(MalformedMessageException.class, () -> reader.read(message));
            assertEquals(field, refusal.field());
        }
    }

    @Test
    void bodyLongerThanAnnouncedIsRefused() throws Exception {
        RequestReader reader = new RequestReader(RowFormat.F32, HIDDEN, EXPERTS);
        try (FlightMessage message = WireBytes.parse(request(RowFormat.F32, new Random(5)))) {
            message.place(Part.BODY, message.offset(Part.BODY), message.bodyBytes() + 8);
            MalformedMessageException refusal =
                    assertThrows(MalformedMessageException.class, () -> reader.read(message));
            assertEquals("data_header.bodyLength", refusal.field());
        }
    }
}

package io.atoll.expert;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.cluster.placement.ExpertShard;
import io.atoll.kernels.WeightFormat;
import io.atoll.proto.v1.HeldExperts;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.apache.arrow.flight.CallStatus;
import org.apache.arrow.flight.FlightClient;
import org.apache.arrow.flight.FlightDescriptor;
import org.apache.arrow.flight.FlightInfo;
import org.apache.arrow.flight.FlightRuntimeException;
import org.apache.arrow.flight.FlightStatusCode;
import org.apache.arrow.flight.Location;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.memory.RootAllocator;
import org.apache.arrow.vector.Float4Vector;
import org.apache.arrow.vector.IntVector;
import org.apache.arrow.vector.VectorSchemaRoot;
import org.apache.arrow.vector.complex.FixedSizeListVector;
import org.apache.arrow.vector.complex.ListVector;
import org.apache.arrow.vector.complex.StructVector;
import org.apache.arrow.vector.types.FloatingPointPrecision;
import org.apache.arrow.vector.types.pojo.ArrowType;
import org.apache.arrow.vector.types.pojo.Field;
import org.apache.arrow.vector.types.pojo.FieldType;
import org.apache.arrow.vector.types.pojo.Schema;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/// The unmodified client of Arrow Flight against a running worker.
class FlightClientTest {
    private static final int HIDDEN = TestExperts.HIDDEN;
    private static final int LAYER = 2;
    private static final ArrowType FLOAT =
            new ArrowType.FloatingPoint(FloatingPointPrecision.SINGLE);

    private final BufferAllocator allocator = new RootAllocator();
    private ExpertWorker worker;
    private FlightClient client;

    @BeforeEach
    void start() throws Exception {
        start(TestExperts.all(), WeightFormat.F32);
    }

    private void start(ExpertShard shard, WeightFormat format) throws Exception {
        var store = TestExperts.store(shard, format);
        worker = ExpertWorker.over(ExpertWorkerTest.settings(store, 10), store, "digest");
        worker.start();
        client =
                FlightClient.builder(
                                allocator, Location.forGrpcInsecure("127.0.0.1", worker.port()))
                        .build();
    }

    @AfterEach
    void stop() throws Exception {
        client.close();
        worker.close();
        allocator.close();
    }

    private static Schema schema(int hidden) {
        return new Schema(
                List.of(
                        fixedList("hidden", hidden),
                        new Field(
                                "routes",
                                FieldType.nullable(ArrowType.List.INSTANCE),
                                List.of(
                                        new Field(
                                                "element",
                                                FieldType.nullable(ArrowType.Struct.INSTANCE),
                                                List.of(
                                                        Field.nullable(
                                                                "expert",
                                                                new ArrowType.Int(32, true)),
                                                        Field.nullable("weight", FLOAT)))))));
    }

    private static Field fixedList(String name, int size) {
        return new Field(
                name,
                FieldType.notNullable(new ArrowType.FixedSizeList(size)),
                List.of(Field.notNullable("item", FLOAT)));
    }

    private static void fill(
            VectorSchemaRoot root, float[][] rows, int[][] experts, float[] weights) {
        FixedSizeListVector hidden = (FixedSizeListVector) root.getVector("hidden");
        ListVector routes = (ListVector) root.getVector("routes");
        root.allocateNew();
        Float4Vector values = (Float4Vector) hidden.getDataVector();
        StructVector route = (StructVector) routes.getDataVector();
        IntVector expert = route.getChild("expert", IntVector.class);
        Float4Vector weight = route.getChild("weight", Float4Vector.class);
        int next = 0;
        for (int row = 0; row < rows.length; row++) {
            hidden.setNotNull(row);
            for (int i = 0; i < HIDDEN; i++) {
                values.setSafe(row * HIDDEN + i, rows[row][i]);
            }
            routes.startNewValue(row);
            for (int e : experts[row]) {
                route.setIndexDefined(next);
                expert.setSafe(next, e);
                weight.setSafe(next, weights[next]);
                next++;
            }
            routes.endValue(row, experts[row].length);
        }
        values.setValueCount(rows.length * HIDDEN);
        hidden.setValueCount(rows.length);
        routes.setValueCount(rows.length);
        root.setRowCount(rows.length);
    }

    @ParameterizedTest
    @EnumSource(
            value = WeightFormat.class,
            names = {"F32", "Q8"})
    void exchangeAnswersEachBatchWithItsWeightedSums(WeightFormat format) throws Exception {
        client.close();
        worker.close();
        start(TestExperts.all(), format);
        Random random = new Random(8);
        FlightClient.ExchangeReaderWriter exchange =
                client.doExchange(FlightDescriptor.path("experts", Integer.toString(LAYER)));
        try (VectorSchemaRoot root = VectorSchemaRoot.create(schema(HIDDEN), allocator)) {
            exchange.getWriter().start(root);
            for (int rows : new int[] {1, 5, 40}) {
                float[][] x = new float[rows][];
                int[][] experts = new int[rows][];
                for (int row = 0; row < rows; row++) {
                    x[row] = TestExperts.uniform(random, HIDDEN, 1);
                    experts[row] = random.ints(0, 8).distinct().limit(row % 4).toArray();
                }
                int routes = Arrays.stream(experts).mapToInt(e -> e.length).sum();
                float[] weights = TestExperts.uniform(random, routes, 1);
                fill(root, x, experts, weights);
                exchange.getWriter().putNext();
                assertTrue(exchange.getReader().next());
                check(exchange.getReader().getRoot(), x, experts, weights, format);
            }
            exchange.getWriter().completed();
            assertFalse(exchange.getReader().next(), "stream ends after the last answer");
        } finally {
            exchange.close();
        }
    }

    private static void check(
            VectorSchemaRoot reply,
            float[][] x,
            int[][] experts,
            float[] weights,
            WeightFormat format) {
        assertEquals(x.length, reply.getRowCount());
        FixedSizeListVector sum = (FixedSizeListVector) reply.getVector("sum");
        Float4Vector values = (Float4Vector) sum.getDataVector();
        double tolerance = format == WeightFormat.F32 ? 1e-4 : 0.15;
        int next = 0;
        for (int row = 0; row < x.length; row++) {
            double[] expected = new double[HIDDEN];
            for (int expert : experts[row]) {
                TestExperts.addExpert(LAYER, expert, x[row], weights[next], expected);
                next++;
            }
            for (int i = 0; i < HIDDEN; i++) {
                assertEquals(expected[i], values.get(row * HIDDEN + i), tolerance);
            }
        }
    }

    @Test
    void catalogueHasOneFlightForEachLayerThatIsHeld() throws Exception {
        client.close();
        worker.close();
        start(
                ExpertShard.parse("0:1-3;2:5,7", TestExperts.LAYERS, TestExperts.EXPERTS),
                WeightFormat.F32);
        List<String> paths = new ArrayList<>();
        client.listFlights(org.apache.arrow.flight.Criteria.ALL)
                .forEach(info -> paths.add(String.join("/", info.getDescriptor().getPath())));
        assertEquals(List.of("experts/0", "experts/2"), paths);

        FlightDescriptor descriptor = FlightDescriptor.path("experts", "2");
        FlightInfo info = client.getInfo(descriptor);
        HeldExperts held = HeldExperts.parseFrom(info.getAppMetadata());
        assertEquals(2, held.getRangesCount());
        Schema schema = info.getSchemaOptional().orElseThrow();
        assertEquals("5,7", schema.getCustomMetadata().get("atoll.held"));
        assertEquals(schema, client.getSchema(descriptor).getSchema());
        assertEquals(new ArrowType.FixedSizeList(HIDDEN), schema.findField("hidden").getType());
    }

    @Test
    void flightThatDoesNotExistIsNotFound() {
        FlightRuntimeException refusal =
                assertThrows(
                        FlightRuntimeException.class,
                        () -> client.getInfo(FlightDescriptor.path("experts", "99")));
        assertEquals(FlightStatusCode.NOT_FOUND, refusal.status().code());
    }

    @Test
    void wrongListSizeIsRefusedByName() throws Exception {
        CallStatus refusal = exchangeRefusal(schema(32));
        assertEquals(FlightStatusCode.INVALID_ARGUMENT, refusal.code());
        assertTrue(
                refusal.description().contains("hidden.listSize: 32, expected 64"),
                refusal.description());
    }

    @Test
    void missingColumnIsRefusedByName() throws Exception {
        CallStatus refusal = exchangeRefusal(new Schema(List.of(fixedList("hidden", HIDDEN))));
        assertTrue(refusal.description().contains("fields: 1, expected 2"), refusal.description());
    }

    private CallStatus exchangeRefusal(Schema schema) throws Exception {
        FlightClient.ExchangeReaderWriter exchange =
                client.doExchange(FlightDescriptor.path("experts", "1"));
        try (VectorSchemaRoot root = VectorSchemaRoot.create(schema, allocator)) {
            exchange.getWriter().start(root);
            FlightRuntimeException refusal =
                    assertThrows(FlightRuntimeException.class, () -> exchange.getReader().next());
            return refusal.status();
        } finally {
            exchange.close();
        }
    }

    @Test
    void nullRowIsRefused() throws Exception {
        FlightClient.ExchangeReaderWriter exchange =
                client.doExchange(FlightDescriptor.path("experts", "1"));
        try (VectorSchemaRoot root = VectorSchemaRoot.create(schema(HIDDEN), allocator)) {
            exchange.getWriter().start(root);
            fill(root, new float[][] {new float[HIDDEN]}, new int[][] {{1}}, new float[] {1});
            ((ListVector) root.getVector("routes")).setNull(0);
            exchange.getWriter().putNext();
            FlightRuntimeException refusal =
                    assertThrows(FlightRuntimeException.class, () -> exchange.getReader().next());
            assertTrue(
                    refusal.status().description().contains("routes.nullCount: 1 nulls"),
                    refusal.status().description());
        } finally {
            exchange.close();
        }
    }
}

package io.atoll.cli.load;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.stream.DoubleStream;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class PercentilesTest {
    @Test
    void nearestRank() {
        Percentiles values =
                Percentiles.of(IntStream.rangeClosed(1, 100).mapToDouble(i -> 101 - i));
        assertEquals(50, values.at(0.5));
        assertEquals(90, values.at(0.9));
        assertEquals(99, values.at(0.99));
        assertEquals(100, values.at(1));
        assertEquals(50.5, values.mean());
        assertEquals(7, Percentiles.of(DoubleStream.of(7)).at(0.01));
    }

    @Test
    void nothingOfNothing() {
        assertTrue(Double.isNaN(Percentiles.of(DoubleStream.empty()).at(0.5)));
    }
}

package io.atoll.attention.step;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.atoll.kernels.KvFormat;
import java.time.Duration;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class AttentionSettingsTest {
    @Test
    void defaultsAreTheDocumentedOnes() {
        assertEquals(
                new AttentionSettings(
                        512,
                        16,
                        16,
                        32_768,
                        131_072,
                        KvFormat.BF16,
                        Runtime.getRuntime().availableProcessors(),
                        Optional.empty(),
                        Duration.ofSeconds(10),
                        Optional.empty(),
                        Speculation.DEFAULT),
                AttentionSettings.defaults());
    }

    @Test
    void nothingMayBeZero() {
        Duration second = Duration.ofSeconds(1);
        Optional<String> any = Optional.empty();
        KvFormat f32 = KvFormat.F32;
        assertRefused(
                () -> new AttentionSettings(0, 1, 1, 1, 1, f32, 1, any, second, Optional.empty()));
        assertRefused(
                () -> new AttentionSettings(1, 0, 1, 1, 1, f32, 1, any, second, Optional.empty()));
        assertRefused(
                () -> new AttentionSettings(1, 1, 1, 0, 1, f32, 1, any, second, Optional.empty()));
        assertRefused(
                () -> new AttentionSettings(1, 1, 1, 1, 0, f32, 1, any, second, Optional.empty()));
        assertRefused(
                () -> new AttentionSettings(1, 1, 1, 1, 1, f32, 0, any, second, Optional.empty()));
        assertRefused(
                () ->
                        new AttentionSettings(
                                1, 1, 1, 1, 1, f32, 1, any, Duration.ZERO, Optional.empty()));
    }

    private static void assertRefused(Runnable settings) {
        assertThrows(IllegalArgumentException.class, settings::run);
    }
}

package io.atoll.coordinator.http;

import io.atoll.attention.step.AttentionWorkerInfo;
import io.atoll.coordinator.sequence.ServedModel;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.security.SecureRandom;
import java.time.Clock;
import java.util.HexFormat;

/// Makes the header of each answer: a new id, the time, and what serves it.
final class AnswerHeaders {
    private final SecureRandom random = new SecureRandom();
    private final Clock clock;
    private final String model;
    private final String fingerprint;

    AnswerHeaders(ServedModel model, AttentionWorkerInfo info, Clock clock) {
        this.clock = clock;
        this.model = model.name();
        this.fingerprint = fingerprint(info);
    }

    /// @param prefix says which endpoint's answer it is
    Answer.Header next(String prefix) {
        byte[] id = new byte[12];
        random.nextBytes(id);
        return new Answer.Header(
                prefix + HexFormat.of().formatHex(id), nowSeconds(), model, fingerprint);
    }

    long nowSeconds() {
        return clock.instant().getEpochSecond();
    }

    /// The same weights on the same arithmetic give the same tokens, so these two make the fingerprint.
    private static String fingerprint(AttentionWorkerInfo info) {
        String subject = info.modelDigest() + "\n" + info.arithmetic();
        try {
            byte[] hash =
                    MessageDigest.getInstance("SHA-256")
                            .digest(subject.getBytes(StandardCharsets.UTF_8));
            return "fp_" + HexFormat.of().formatHex(hash, 0, 6);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java has SHA-256", e);
        }
    }
}

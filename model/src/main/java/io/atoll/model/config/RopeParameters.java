package io.atoll.model.config;

import java.util.List;
import java.util.OptionalDouble;

/// How positions turn queries and keys: plain rotary embedding, or YaRN's stretched one (Peng et al., "YaRN:
/// Efficient Context Window Extension of Large Language Models", arXiv 2309.00071) for contexts longer than the
/// model was trained on.
///
/// @param type plain or stretched
/// @param theta base of the frequencies
/// @param partialRotaryFactor share of a head's dimensions that turn
/// @param mropeSection frequencies that follow the temporal, vertical and horizontal position; they add up to half the
///     rotary dimensions
/// @param interleaved whether the three kinds of frequencies alternate (the only arrangement supported)
/// @param factor how many times longer than trained a YaRN context is; 1 for plain rotary embedding
/// @param originalMaxPositions context the model was trained on
/// @param betaFast turns within the trained context above which YaRN leaves a frequency alone
/// @param betaSlow turns below which YaRN divides a frequency by the whole factor
/// @param attentionFactorOverride replaces the factor that YaRN derives for cosine and sine
public record RopeParameters(
        Type type,
        double theta,
        double partialRotaryFactor,
        List<Integer> mropeSection,
        boolean interleaved,
        double factor,
        int originalMaxPositions,
        double betaFast,
        double betaSlow,
        OptionalDouble attentionFactorOverride) {

    /// Plain rotary embedding, or YaRN.
    public enum Type {
        DEFAULT,
        YARN
    }

    public RopeParameters {
        mropeSection = List.copyOf(mropeSection);
        if (!(theta > 1) || !Double.isFinite(theta)) {
            throw new IllegalArgumentException("theta must be finite and above 1: " + theta);
        }
        if (!(partialRotaryFactor > 0 && partialRotaryFactor <= 1)) {
            throw new IllegalArgumentException(
                    "partialRotaryFactor must be in (0, 1]: " + partialRotaryFactor);
        }
        if (mropeSection.size() != 3 || mropeSection.stream().anyMatch(size -> size < 0)) {
            throw new IllegalArgumentException("mropeSection must be three sizes: " + mropeSection);
        }
        if (!interleaved) {
            throw new IllegalArgumentException(
                    "only the interleaved arrangement is supported: interleaved=false");
        }
        if (!(factor >= 1) || !Double.isFinite(factor)) {
            throw new IllegalArgumentException("factor must be finite and at least 1: " + factor);
        }
        if (originalMaxPositions <= 0) {
            throw new IllegalArgumentException(
                    "originalMaxPositions must be positive: " + originalMaxPositions);
        }
        if (!(betaSlow > 0 && betaFast >= betaSlow) || !Double.isFinite(betaFast)) {
            throw new IllegalArgumentException(
                    "betas must satisfy 0 < betaSlow <= betaFast: betaSlow="
                            + betaSlow
                            + " betaFast="
                            + betaFast);
        }
        if (attentionFactorOverride.isPresent() && !(attentionFactorOverride.getAsDouble() > 0)) {
            throw new IllegalArgumentException(
                    "attentionFactorOverride must be positive: " + attentionFactorOverride);
        }
    }

    /// Plain rotary embedding over the trained context.
    public static RopeParameters plain(
            double theta,
            double partialRotaryFactor,
            List<Integer> mropeSection,
            int originalMaxPositions) {
        return new RopeParameters(
                Type.DEFAULT,
                theta,
                partialRotaryFactor,
                mropeSection,
                true,
                1,
                originalMaxPositions,
                32,
                1,
                OptionalDouble.empty());
    }

    /// The same frequencies stretched by YaRN to `factor` times the trained context, with the usual betas.
    public RopeParameters withYarn(double yarnFactor) {
        return new RopeParameters(
                Type.YARN,
                theta,
                partialRotaryFactor,
                mropeSection,
                interleaved,
                yarnFactor,
                originalMaxPositions,
                32,
                1,
                OptionalDouble.empty());
    }

    /// The angle a dimension pair turns per position: `[rotaryDim / 2]`, pair `i` joins dimensions `i` and `i +
    /// rotaryDim/2`.
    ///
    /// Computed in f32 step by step, as the reference implementation does, so angles at large positions agree.
    public float[] inverseFrequencies(int rotaryDim) {
        if (rotaryDim <= 0 || rotaryDim % 2 != 0) {
            throw new IllegalArgumentException("rotaryDim must be positive and even: " + rotaryDim);
        }
        float[] result = new float[rotaryDim / 2];
        for (int i = 0; i < result.length; i++) {
            float period = (float) Math.pow(theta, 2f * i / rotaryDim);
            result[i] =
                    switch (type) {
                        case DEFAULT -> 1f / period;
                        case YARN -> stretched(period, stretch(i, rotaryDim));
                    };
        }
        return result;
    }

    /// What cosine and sine are multiplied by: 1 without YaRN, else `0.1 ln(factor) + 1` unless the configuration
    /// says otherwise.
    public float attentionFactor() {
        return switch (type) {
            case DEFAULT -> 1f;
            case YARN -> (float) attentionFactorOverride.orElse(0.1 * Math.log(factor) + 1);
        };
    }

    /// Positions the parameters are made for.
    public int stretchedMaxPositions() {
        return (int) Math.min(Integer.MAX_VALUE, Math.round(originalMaxPositions * factor));
    }

    private float stretched(float period, float stretch) {
        float kept = 1f - stretch;
        return 1f / ((float) factor * period) * (1f - kept) + 1f / period * kept;
    }

    /// YaRN's ramp: 0 for a frequency that is left alone, 1 for one that is divided by the whole factor.
    private float stretch(int index, int rotaryDim) {
        double low = Math.max(Math.floor(indexOfTurns(betaFast, rotaryDim)), 0);
        double high = Math.min(Math.ceil(indexOfTurns(betaSlow, rotaryDim)), rotaryDim - 1);
        if (low == high) {
            high += 0.001; // a step; keeps the division below finite
        }
        return Math.clamp((index - (float) low) / (float) (high - low), 0f, 1f);
    }

    /// The (fractional) index of the frequency that makes `turns` full turns within the trained context.
    private double indexOfTurns(double turns, int rotaryDim) {
        return rotaryDim
                * Math.log(originalMaxPositions / (turns * 2 * Math.PI))
                / (2 * Math.log(theta));
    }

    /// Reads `rope_parameters`, or the older `rope_theta` and `rope_scaling`, of a text configuration.
    static RopeParameters read(JsonFields text, int headDim, int maxPositions) {
        JsonFields fields = text;
        if (text.has("rope_parameters")) {
            fields = text.object("rope_parameters");
        } else if (text.has("rope_scaling")) {
            fields = text.object("rope_scaling");
        }
        String typeName = fields.string("rope_type", fields.string("type", "default"));
        Type type =
                switch (typeName) {
                    // "mrope" is how older files of the family call the plain kind with three
                    // positions.
                    case "default", "mrope" -> Type.DEFAULT;
                    case "yarn" -> Type.YARN;
                    default ->
                            throw fields.refused(
                                    "rope_type",
                                    "only default and yarn are supported, found \""
                                            + typeName
                                            + "\"");
                };

        JsonFields thetaHolder = fields.has("rope_theta") ? fields : text;
        double theta = thetaHolder.number("rope_theta", 1.0001, 1e12);
        JsonFields partialHolder = fields.has("partial_rotary_factor") ? fields : text;
        double partial = partialHolder.number("partial_rotary_factor", 1e-6, 1);
        double rotary = headDim * partial;
        int rotaryDim = (int) rotary;
        if (rotary != rotaryDim || rotaryDim < 2 || rotaryDim % 2 != 0) {
            throw partialHolder.refused(
                    "partial_rotary_factor",
                    "must leave an even number of rotary dimensions, found "
                            + partial
                            + " of head_dim "
                            + headDim);
        }
        List<Integer> section = fields.integers("mrope_section", 0, 1 << 16);
        if (section.size() != 3
                || section.stream().mapToInt(Integer::intValue).sum() != rotaryDim / 2) {
            throw fields.refused(
                    "mrope_section",
                    "must be three sizes that add up to "
                            + rotaryDim / 2
                            + " (half the rotary dimensions), found "
                            + section);
        }
        if (type == Type.DEFAULT) {
            fields.mustBe("mrope_interleaved", true);
            return plain(theta, partial, section, maxPositions);
        }

        fields.mustBe("mrope_interleaved", true);
        fields.mustBe("truncate", true);
        for (String unsupported : List.of("mscale", "mscale_all_dim")) {
            if (fields.has(unsupported)) {
                throw fields.refused(
                        unsupported, "is not supported; give attention_factor instead");
            }
        }
        double betaFast = fields.number("beta_fast", 1e-6, 1e6, 32);
        double betaSlow = fields.number("beta_slow", 1e-6, 1e6, 1);
        if (betaFast < betaSlow) {
            throw fields.refused(
                    "beta_fast", "must not be below beta_slow " + betaSlow + ", found " + betaFast);
        }
        return new RopeParameters(
                type,
                theta,
                partial,
                section,
                true,
                fields.number("factor", 1, 1024),
                fields.integer(
                        "original_max_position_embeddings",
                        1,
                        TextConfig.MAX_POSITIONS,
                        maxPositions),
                betaFast,
                betaSlow,
                fields.has("attention_factor")
                        ? OptionalDouble.of(fields.number("attention_factor", 1e-6, 1e6))
                        : OptionalDouble.empty());
    }
}

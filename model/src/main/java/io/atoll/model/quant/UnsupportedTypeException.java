package io.atoll.model.quant;

/// A GGUF file uses an element type that this program does not decode.
public final class UnsupportedTypeException extends RuntimeException {
    private static final String CODEBOOK =
            "is not supported; use a file with types such as Q3_K, Q4_K or IQ4_XS (Q3_K_M, Q4_K_M,"
                    + " UD-Q4_K_XL)";
    private static final String REPACKED =
            "is a layout for one processor and is not supported; use the Q4_0 or IQ4_NL file it was"
                    + " made from";
    private static final String NO_WEIGHTS = "is not a weight type and is not supported";

    private UnsupportedTypeException(String message) {
        super(message);
    }

    static UnsupportedTypeException ofGgml(int id) {
        String problem =
                switch (id) {
                    case 4 -> "Q4_2 was removed from the format; use Q4_K or Q4_0";
                    case 5 -> "Q4_3 was removed from the format; use Q4_K or Q4_1";
                    case 9 -> "Q8_1 " + NO_WEIGHTS + "; use Q8_0";
                    case 15 -> "Q8_K " + NO_WEIGHTS + "; use Q8_0";
                    case 16 -> "IQ2_XXS " + CODEBOOK;
                    case 17 -> "IQ2_XS " + CODEBOOK;
                    case 18 -> "IQ3_XXS " + CODEBOOK;
                    case 19 -> "IQ1_S " + CODEBOOK;
                    case 21 -> "IQ3_S " + CODEBOOK;
                    case 22 -> "IQ2_S " + CODEBOOK;
                    case 24 -> "I8 " + NO_WEIGHTS;
                    case 25 -> "I16 " + NO_WEIGHTS;
                    case 26 -> "I32 " + NO_WEIGHTS;
                    case 27 -> "I64 " + NO_WEIGHTS;
                    case 28 -> "F64 is not supported; use F32";
                    case 29 -> "IQ1_M " + CODEBOOK;
                    case 31 -> "Q4_0_4_4 " + REPACKED;
                    case 32 -> "Q4_0_4_8 " + REPACKED;
                    case 33 -> "Q4_0_8_8 " + REPACKED;
                    case 34 -> "TQ1_0 is not supported; use Q2_K";
                    case 35 -> "TQ2_0 is not supported; use Q2_K";
                    case 36 -> "IQ4_NL_4_4 " + REPACKED;
                    case 37 -> "IQ4_NL_4_8 " + REPACKED;
                    case 38 -> "IQ4_NL_8_8 " + REPACKED;
                    default ->
                            "number "
                                    + Integer.toUnsignedString(id)
                                    + " is unknown; use a file with types such as Q4_K, Q6_K or"
                                    + " Q8_0";
                };
        return new UnsupportedTypeException("type " + problem);
    }
}

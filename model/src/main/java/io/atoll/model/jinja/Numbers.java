package io.atoll.model.jinja;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.MathContext;
import java.math.RoundingMode;
import java.util.Locale;
import java.util.Optional;

/// Python's numbers: integers without bound (a `Long` where it fits, else a `BigInteger`), floats, and booleans that count as
/// 0 and 1.
final class Numbers {
    /// Python refuses to print longer integers, too.
    private static final int MAX_BITS = 14_000;

    private Numbers() {}

    static boolean isNumber(Object value) {
        return value instanceof Long
                || value instanceof Double
                || value instanceof Boolean
                || value instanceof BigInteger;
    }

    static boolean isInteger(Object value) {
        return value instanceof Long || value instanceof Boolean || value instanceof BigInteger;
    }

    /// The canonical form of an integer.
    static Object integer(BigInteger value) {
        if (value.bitLength() > MAX_BITS) {
            throw PythonException.overLimit("an integer has more than " + MAX_BITS + " bits");
        }
        return value.bitLength() < 64 ? (Object) value.longValue() : value;
    }

    static BigInteger big(Object integer) {
        return switch (integer) {
            case Boolean b -> b ? BigInteger.ONE : BigInteger.ZERO;
            case Long l -> BigInteger.valueOf(l);
            case BigInteger b -> b;
            default -> throw new IllegalArgumentException("not an integer: " + integer);
        };
    }

    static double real(Object number) {
        return number instanceof Double d ? d : big(number).doubleValue();
    }

    /// An integer as a Java index; one that does not fit is clamped, which is what slices and counts want.
    static int index(Object value, String what) {
        if (!isInteger(value)) {
            throw PythonException.typeError(
                    what + " must be an integer, not '" + Python.typeName(value) + "'");
        }
        BigInteger big = big(value);
        return big.bitLength() < 31 ? big.intValue() : big.signum() * Integer.MAX_VALUE;
    }

    static int compare(Object left, Object right) {
        if (left instanceof Double || right instanceof Double) {
            double a = real(left);
            double b = real(right);
            if (Double.isNaN(a)
                    || Double.isNaN(b)
                    || Double.isInfinite(a)
                    || Double.isInfinite(b)) {
                return Double.compare(a, b);
            }
            return exact(left).compareTo(exact(right));
        }
        return big(left).compareTo(big(right));
    }

    static boolean equal(Object left, Object right) {
        return (!isNaN(left) && !isNaN(right) && compare(left, right) == 0)
                || bothZero(left, right);
    }

    private static boolean bothZero(Object left, Object right) {
        return real(left) == 0 && real(right) == 0;
    }

    static boolean isNaN(Object value) {
        return value instanceof Double d && d.isNaN();
    }

    private static BigDecimal exact(Object number) {
        return number instanceof Double d ? new BigDecimal(d) : new BigDecimal(big(number));
    }

    static Object arithmetic(Expr.Operator operator, Object left, Object right) {
        if (left instanceof Double || right instanceof Double) {
            return real(operator, real(left), real(right));
        }
        BigInteger a = big(left);
        BigInteger b = big(right);
        return switch (operator) {
            case ADD -> integer(a.add(b));
            case SUBTRACT -> integer(a.subtract(b));
            case MULTIPLY -> integer(a.multiply(b));
            case DIVIDE -> divide(a, b);
            case FLOOR_DIVIDE -> integer(floorDivide(a, b));
            case MODULO -> integer(a.subtract(floorDivide(a, b).multiply(b)));
            case POWER -> power(a, b);
        };
    }

    private static Object divide(BigInteger a, BigInteger b) {
        if (b.signum() == 0) {
            throw divisionByZero();
        }
        if (a.bitLength() <= 53 && b.bitLength() <= 53) {
            return a.doubleValue() / b.doubleValue();
        }
        return new BigDecimal(a).divide(new BigDecimal(b), new MathContext(60)).doubleValue();
    }

    private static BigInteger floorDivide(BigInteger a, BigInteger b) {
        if (b.signum() == 0) {
            throw divisionByZero();
        }
        BigInteger[] parts = a.divideAndRemainder(b);
        boolean rounded = parts[1].signum() != 0 && parts[1].signum() != b.signum();
        return rounded ? parts[0].subtract(BigInteger.ONE) : parts[0];
    }

    private static Object power(BigInteger base, BigInteger exponent) {
        if (exponent.signum() < 0) {
            return real(Expr.Operator.POWER, base.doubleValue(), exponent.doubleValue());
        }
        if (base.abs().bitLength() <= 1) { // -1, 0 or 1
            boolean even = !exponent.testBit(0);
            return exponent.signum() == 0 || (base.signum() < 0 && even)
                    ? (Object) 1L
                    : base.longValue();
        }
        boolean small =
                exponent.bitLength() <= 20
                        && (base.bitLength() - 1L) * exponent.intValue() <= MAX_BITS;
        if (!small) {
            throw PythonException.overLimit("an integer has more than " + MAX_BITS + " bits");
        }
        return integer(base.pow(exponent.intValue()));
    }

    private static Object real(Expr.Operator operator, double a, double b) {
        return switch (operator) {
            case ADD -> a + b;
            case SUBTRACT -> a - b;
            case MULTIPLY -> a * b;
            case DIVIDE -> {
                if (b == 0) {
                    throw divisionByZero();
                }
                yield a / b;
            }
            case FLOOR_DIVIDE -> {
                if (b == 0) {
                    throw divisionByZero();
                }
                double floor = Math.rint((a - modulo(a, b)) / b);
                yield floor == 0 ? Math.copySign(0.0, a / b) : floor;
            }
            case MODULO -> {
                if (b == 0) {
                    throw divisionByZero();
                }
                yield modulo(a, b);
            }
            case POWER -> {
                if (a == 0 && b < 0) {
                    throw PythonException.arithmetic("0.0 cannot be raised to a negative power");
                }
                if (a < 0 && b != Math.rint(b)) {
                    throw PythonException.unsupported("complex numbers");
                }
                yield Math.pow(a, b);
            }
        };
    }

    private static double modulo(double a, double b) {
        double rest = a % b;
        if (rest != 0 && (rest < 0) != (b < 0)) {
            rest += b;
        }
        return rest == 0 ? Math.copySign(0.0, b) : rest;
    }

    private static PythonException divisionByZero() {
        return PythonException.arithmetic("division by zero");
    }

    /// A float as Python prints it: the shortest digits that read back as the same number, always with a point or an exponent.
    static String repr(double value) {
        if (Double.isNaN(value)) {
            return "nan";
        }
        if (Double.isInfinite(value)) {
            return value > 0 ? "inf" : "-inf";
        }
        if (value == 0) {
            return 1 / value < 0 ? "-0.0" : "0.0";
        }
        BigDecimal decimal = new BigDecimal(Double.toString(Math.abs(value))).stripTrailingZeros();
        BigDecimal shorter = decimal.round(new MathContext(1, RoundingMode.HALF_EVEN));
        if (decimal.precision() == 2 && shorter.doubleValue() == Math.abs(value)) {
            decimal = shorter.stripTrailingZeros(); // Java never prints fewer than two digits
        }
        String digits = decimal.unscaledValue().toString();
        int exponent = digits.length() - decimal.scale() - 1; // of the first digit
        String sign = value < 0 ? "-" : "";
        if (exponent < -4 || exponent >= 16) {
            String fraction = digits.length() > 1 ? "." + digits.substring(1) : "";
            String power = (Math.abs(exponent) < 10 ? "0" : "") + Math.abs(exponent);
            return sign + digits.charAt(0) + fraction + "e" + (exponent < 0 ? "-" : "+") + power;
        }
        String plain = decimal.toPlainString();
        return sign + (plain.indexOf('.') < 0 ? plain + ".0" : plain);
    }

    /// Python's `round`: half to even, of the number as it is stored.
    static Object round(Object value, int digits) {
        if (Math.abs((long) digits) > 400) {
            return digits > 0 ? value : value instanceof Double ? (Object) 0.0 : (Object) 0L;
        }
        if (isInteger(value)) {
            BigDecimal rounded =
                    new BigDecimal(big(value))
                            .setScale(Math.min(digits, 0), RoundingMode.HALF_EVEN);
            return integer(rounded.toBigIntegerExact());
        }
        double real = real(value);
        if (Double.isNaN(real) || Double.isInfinite(real)) {
            return real;
        }
        double rounded =
                new BigDecimal(real).setScale(digits, RoundingMode.HALF_EVEN).doubleValue();
        return rounded == 0 ? Math.copySign(0.0, real) : rounded;
    }

    /// The integer part, towards zero.
    static Object truncate(double value) {
        if (Double.isNaN(value) || Double.isInfinite(value)) {
            throw PythonException.arithmetic("cannot convert float " + repr(value) + " to integer");
        }
        return integer(new BigDecimal(value).toBigInteger());
    }

    /// Reads an integer as Python's `int(text, radix)`; empty if it is none.
    static Optional<Object> parseInteger(String text, int radix) {
        String digits = Text.strip(text).toLowerCase(Locale.ROOT);
        boolean negative = digits.startsWith("-");
        if (negative || digits.startsWith("+")) {
            digits = digits.substring(1);
        }
        int prefixRadix =
                digits.startsWith("0x")
                        ? 16
                        : digits.startsWith("0o") ? 8 : digits.startsWith("0b") ? 2 : 0;
        if (prefixRadix != 0 && (radix == prefixRadix || radix == 0)) {
            radix = prefixRadix;
            digits = digits.substring(digits.startsWith("_", 2) ? 3 : 2);
        }
        if (radix == 0) {
            radix = 10;
        }
        if (radix < 2 || radix > 36 || !wellSeparated(digits) || digits.length() > MAX_BITS) {
            return Optional.empty();
        }
        String plain = digits.replace("_", "");
        for (int i = 0; i < plain.length(); i++) {
            if (Character.digit(plain.charAt(i), radix) < 0) {
                return Optional.empty();
            }
        }
        BigInteger value = new BigInteger(plain, radix);
        return Optional.of(integer(negative ? value.negate() : value));
    }

    /// Reads a float as Python's `float(text)`; empty if it is none.
    static Optional<Double> parseReal(String text) {
        String trimmed = Text.strip(text).toLowerCase(Locale.ROOT);
        String unsigned =
                trimmed.startsWith("-") || trimmed.startsWith("+") ? trimmed.substring(1) : trimmed;
        double sign = trimmed.startsWith("-") ? -1 : 1;
        if (unsigned.equals("inf") || unsigned.equals("infinity")) {
            return Optional.of(sign * Double.POSITIVE_INFINITY);
        }
        if (unsigned.equals("nan")) {
            return Optional.of(Double.NaN);
        }
        if (unsigned.length() > 1000
                || !unsigned.matches(
                        "(\\d[\\d_]*\\.?(\\d[\\d_]*)?|\\.\\d[\\d_]*)(e[+-]?\\d[\\d_]*)?")) {
            return Optional.empty();
        }
        for (String part : unsigned.split("[.e+-]+", -1)) {
            if (!part.isEmpty() && !wellSeparated(part)) {
                return Optional.empty();
            }
        }
        return Optional.of(sign * Double.parseDouble(unsigned.replace("_", "")));
    }

    /// Underscores may stand between digits only.
    private static boolean wellSeparated(String digits) {
        return !digits.isEmpty()
                && !digits.startsWith("_")
                && !digits.endsWith("_")
                && !digits.contains("__");
    }
}

package io.atoll.model.vision;

/// Bicubic resizing of 8-bit pictures as the published processor's library does it (model specification G.1): a = -0.5, the filter
/// is widened by the scale when shrinking, rows are resized first, and values are rounded to 8 bits after each of the two
/// passes. Weights are fixed-point numbers of 22 binary places, so results are the same on every machine.
final class BicubicResize {
    private static final int CHANNELS = 3;
    private static final int FRACTION_BITS = 22;
    private static final double SUPPORT = 2;
    private static final double A = -0.5;

    private BicubicResize() {}

    /// A picture of the size wanted.
    static RgbPicture resize(RgbPicture picture, PictureSize size) {
        byte[] rgb = picture.rgb();
        if (size.width() != picture.width()) {
            rgb = rows(rgb, picture.height(), picture.width(), size.width());
        }
        if (size.height() != picture.height()) {
            rgb = columns(rgb, picture.height(), size.width(), size.height());
        }
        return new RgbPicture(size.width(), size.height(), rgb);
    }

    private static byte[] rows(byte[] in, int height, int from, int to) {
        Filter[] filters = filters(from, to);
        byte[] out = room(height, to);
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < to; x++) {
                int begin = (y * from + filters[x].first()) * CHANNELS;
                weigh(in, begin, CHANNELS, filters[x], out, (y * to + x) * CHANNELS);
            }
        }
        return out;
    }

    private static byte[] columns(byte[] in, int from, int width, int to) {
        Filter[] filters = filters(from, to);
        byte[] out = room(to, width);
        for (int y = 0; y < to; y++) {
            for (int x = 0; x < width; x++) {
                int begin = (filters[y].first() * width + x) * CHANNELS;
                weigh(in, begin, width * CHANNELS, filters[y], out, (y * width + x) * CHANNELS);
            }
        }
        return out;
    }

    private static byte[] room(int height, int width) {
        long bytes = (long) height * width * CHANNELS;
        if (bytes > Integer.MAX_VALUE - 8) {
            throw new VisionException(
                    "too large to resize: " + width + " x " + height + " pixels on the way");
        }
        return new byte[(int) bytes];
    }

    private static void weigh(
            byte[] in, int begin, int stride, Filter filter, byte[] out, int outAt) {
        for (int channel = 0; channel < CHANNELS; channel++) {
            int sum = 1 << (FRACTION_BITS - 1);
            int at = begin + channel;
            for (int weight : filter.weights()) {
                sum += (in[at] & 0xff) * weight;
                at += stride;
            }
            out[outAt + channel] = (byte) Math.clamp(sum >> FRACTION_BITS, 0, 255);
        }
    }

    /// What one value is made of.
    ///
    /// @param first of the values it is a weighted sum of
    /// @param weights of that and the following ones, in units of 2^-22; they add up to about 1
    private record Filter(int first, int[] weights) {}

    private static Filter[] filters(int from, int to) {
        double scale = (double) from / to;
        double widening = Math.max(scale, 1);
        double support = SUPPORT * widening;
        Filter[] filters = new Filter[to];
        for (int i = 0; i < to; i++) {
            double center = (i + 0.5) * scale;
            int first = Math.max(0, (int) (center - support + 0.5));
            int end = Math.min(from, (int) (center + support + 0.5));
            double[] weights = new double[end - first];
            double sum = 0;
            for (int j = 0; j < weights.length; j++) {
                weights[j] = cubic((j + first - center + 0.5) / widening);
                sum += weights[j];
            }
            int[] fixed = new int[weights.length];
            for (int j = 0; j < fixed.length; j++) {
                double value = weights[j] / sum * (1 << FRACTION_BITS);
                fixed[j] = (int) (value < 0 ? value - 0.5 : value + 0.5);
            }
            filters[i] = new Filter(first, fixed);
        }
        return filters;
    }

    private static double cubic(double distance) {
        double x = Math.abs(distance);
        if (x < 1) {
            return ((A + 2) * x - (A + 3)) * x * x + 1;
        }
        return x < 2 ? (((x - 5) * x + 8) * x - 4) * A : 0;
    }
}

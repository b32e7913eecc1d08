package io.atoll.cli.load;

import java.util.Locale;

/// One plot as inline SVG, with axes from zero. Colours are classes of the page's style, so that they follow light and dark.
final class Plot {
    private static final int WIDTH = 560;
    private static final int HEIGHT = 280;
    private static final int LEFT = 62;
    private static final int RIGHT = 16;
    private static final int TOP = 12;
    private static final int BOTTOM = 44;

    private final double maxX;
    private final double maxY;
    private final StringBuilder svg = new StringBuilder();

    Plot(String name, String xLabel, String yLabel, double maxX, double maxY) {
        this.maxX = maxX > 0 ? maxX : 1;
        this.maxY = maxY > 0 ? maxY : 1;
        add(
                "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\">",
                WIDTH, HEIGHT, Html.escape(name));
        double stepX = step(this.maxX);
        for (double x = 0; x <= this.maxX * 1.0001; x += stepX) {
            add(
                    "<text class=\"tick\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>",
                    px(x), HEIGHT - BOTTOM + 16, number(x));
        }
        double stepY = step(this.maxY);
        for (double y = 0; y <= this.maxY * 1.0001; y += stepY) {
            add(
                    "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/><text"
                            + " class=\"tick\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>",
                    LEFT, WIDTH - RIGHT, py(y), py(y), LEFT - 8, py(y) + 4, number(y));
        }
        add(
                "<text class=\"axis\" x=\"%d\" y=\"%d\" text-anchor=\"middle\">%s</text>",
                (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, Html.escape(xLabel));
        add(
                "<text class=\"axis\" transform=\"translate(14 %d) rotate(-90)\""
                        + " text-anchor=\"middle\">%s</text>",
                (TOP + HEIGHT - BOTTOM) / 2, Html.escape(yLabel));
    }

    @SuppressWarnings("AnnotateFormatMethod") // the annotation would be a dependency of its own
    private void add(String format, Object... values) {
        svg.append(String.format(Locale.ROOT, format, values));
    }

    private double px(double x) {
        return LEFT + Math.clamp(x / maxX, 0, 1) * (WIDTH - LEFT - RIGHT);
    }

    private double py(double y) {
        return HEIGHT - BOTTOM - Math.clamp(y / maxY, 0, 1) * (HEIGHT - TOP - BOTTOM);
    }

    /// About five ticks, at 1, 2 or 5 times a power of ten.
    private static double step(double max) {
        double power = Math.pow(10, Math.floor(Math.log10(max / 4)));
        double times = max / 4 / power;
        return power * (times < 1.5 ? 1 : times < 3.5 ? 2 : times < 7.5 ? 5 : 10);
    }

    private static String number(double value) {
        return value == Math.rint(value)
                ? String.format(Locale.ROOT, "%,.0f", value)
                : String.format(Locale.ROOT, "%.3g", value);
    }

    Plot line(String style, double[] x, double[] y) {
        svg.append("<polyline class=\"").append(style).append("\" points=\"");
        for (int i = 0; i < x.length; i++) {
            add("%.1f,%.1f ", px(x[i]), py(y[i]));
        }
        svg.append("\"/>");
        return this;
    }

    /// A point with a text that shows when it is pointed at.
    Plot point(String style, double x, double y, String title) {
        add(
                "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\"><title>%s</title></circle>",
                style, px(x), py(y), Html.escape(title));
        return this;
    }

    /// A limit on the horizontal axis.
    Plot limitX(double x) {
        if (x <= maxX) {
            add(
                    "<line class=\"limit\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>",
                    px(x), px(x), TOP, HEIGHT - BOTTOM);
        }
        return this;
    }

    /// A limit on the vertical axis.
    Plot limitY(double y) {
        if (y <= maxY) {
            add(
                    "<line class=\"limit\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>",
                    LEFT, WIDTH - RIGHT, py(y), py(y));
        }
        return this;
    }

    String svg() {
        return svg + "</svg>";
    }
}

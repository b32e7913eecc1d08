package io.atoll.model.vision;

import java.awt.image.BufferedImage;

/// A decoded picture.
///
/// @param width pixels of a row
/// @param height rows
/// @param rgb red, green and blue of each pixel, row by row; not copied, so the caller leaves it alone
public record RgbPicture(int width, int height, byte[] rgb) {
    public RgbPicture {
        if (width <= 0 || height <= 0 || rgb.length != 3L * width * height) {
            throw new IllegalArgumentException(
                    "a picture of "
                            + width
                            + " x "
                            + height
                            + " pixels cannot have "
                            + rgb.length
                            + " bytes");
        }
    }

    /// The colours of a decoded image; what it has of transparency is dropped (model specification G.1).
    public static RgbPicture of(BufferedImage image) {
        byte[] rgb = new byte[3 * image.getWidth() * image.getHeight()];
        int at = 0;
        for (int y = 0; y < image.getHeight(); y++) {
            for (int x = 0; x < image.getWidth(); x++) {
                int pixel = image.getRGB(x, y);
                rgb[at++] = (byte) (pixel >> 16);
                rgb[at++] = (byte) (pixel >> 8);
                rgb[at++] = (byte) pixel;
            }
        }
        return new RgbPicture(image.getWidth(), image.getHeight(), rgb);
    }
}

package io.atoll.model.vision;

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
}

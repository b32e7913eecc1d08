package io.atoll.model.vision;

/// A picture, a clip or the prompt around it cannot be given to the model. The message names the place and the value.
public final class VisionException extends RuntimeException {
    public VisionException(String message) {
        super(message);
    }
}

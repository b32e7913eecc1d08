package io.atoll.model.vision;

import io.atoll.model.checkpoint.Tensor;

/// Where a vision tower's weights come from: safetensors, or a GGUF projector.
@FunctionalInterface
public interface VisionTensors {
    /// A weight under its release's name (`model.visual.…`), which must be there and have this shape.
    ///
    /// @throws io.atoll.model.config.ModelFileException if it is not there, or has another shape
    Tensor tensor(String name, long... shape);
}

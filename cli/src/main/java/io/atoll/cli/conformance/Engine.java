package io.atoll.cli.conformance;

import io.atoll.model.config.TextConfig;
import io.atoll.model.trace.ForwardObserver;
import io.atoll.model.vision.VisionTower;
import io.atoll.model.vision.VisualInput;
import java.nio.file.Path;

/// A way to run the model: the suites see nothing else of it.
interface Engine extends AutoCloseable {
    TextConfig config();

    /// Whether it computes with f32 rows throughout. Otherwise rows are rounded to int8 where they meet weights that are packed in
    /// integers, so that its numbers are near those of the checkpoint, but not as near as f32 is.
    boolean isExact();

    /// Whether the model has a multi-token prediction module and the engine runs it.
    boolean predicts();

    /// Opens an empty sequence.
    ///
    /// @param maxTokens longest it will become
    Sequence open(int maxTokens);

    /// The model's vision tower, on this engine's kernels; the caller closes it. Only engines that see pictures are asked
    /// ([Suite#supports]).
    ///
    /// @throws EngineException if there is none
    default VisionTower visionTower() {
        throw new EngineException("this engine sees no pictures");
    }

    /// Opens an empty sequence with pictures. Only engines that see them are asked.
    ///
    /// @throws EngineException if it sees none
    default Sequence open(VisualInput visual) {
        throw new EngineException("this engine sees no pictures");
    }

    @Override
    void close();

    /// One sequence. One thread at a time.
    interface Sequence extends AutoCloseable {
        /// Runs every layer over the next tokens.
        ///
        /// @return logits `[ids.length][vocabulary]`
        /// @throws EngineException if a machine or process fails
        float[][] feed(int[] ids, ForwardObserver observer);

        /// The most likely tokens after `token`, as the prediction module guesses them one after the other. The sequence stays
        /// as it is.
        ///
        /// @param token what follows the tokens fed so far
        /// @param vocabulary ids from here on are never guessed
        /// @throws EngineException if a machine or process fails
        int[] draft(int token, int count, int vocabulary);

        /// What a layer keeps of the tokens so far.
        State state(int layer);

        @Override
        void close();
    }

    /// A layer's state, copied.
    sealed interface State {
        /// Of a Gated DeltaNet layer.
        ///
        /// @param conv `[convKernel - 1, convDim]`, oldest first
        /// @param recurrent `[valueHeads, keyDim, valueDim]`
        record Recurrent(float[] conv, float[] recurrent) implements State {}

        /// Of an attention layer.
        ///
        /// @param keys `[tokens, kvHeads, headDim]`, after norm and rotation
        /// @param values `[tokens, kvHeads, headDim]`
        record KeyValues(float[] keys, float[] values) implements State {}
    }

    /// Opens an engine on a model: a directory or a GGUF file.
    @FunctionalInterface
    interface Opener {
        Engine open(Path model);
    }
}

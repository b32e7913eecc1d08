package io.atoll.cli.conformance;

import io.atoll.kernels.Kernels;
import io.atoll.kernels.KvFormat;
import io.atoll.model.ModelDirectory;
import io.atoll.model.config.TextConfig;
import io.atoll.model.reference.LayerState;
import io.atoll.model.reference.Reference;
import io.atoll.model.reference.Session;
import io.atoll.model.trace.ForwardObserver;
import io.atoll.model.vision.VisionTower;
import io.atoll.model.vision.VisualInput;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;

/// The plain forward pass in this process.
final class ReferenceEngine implements Engine {
    private final ModelDirectory model;
    private final Kernels kernels;
    private final Reference reference;

    private ReferenceEngine(ModelDirectory model, Kernels kernels, Reference reference) {
        this.model = model;
        this.kernels = kernels;
        this.reference = reference;
    }

    static ReferenceEngine open(Path directory, Kernels kernels, KvFormat kvFormat) {
        ModelDirectory model = ModelDirectory.open(directory);
        try {
            return new ReferenceEngine(model, kernels, Reference.open(model, kernels, kvFormat));
        } catch (RuntimeException e) {
            model.close();
            throw e;
        }
    }

    @Override
    public TextConfig config() {
        return reference.config();
    }

    @Override
    public boolean isExact() {
        return true;
    }

    @Override
    public boolean predicts() {
        return reference.predicts();
    }

    @Override
    public Sequence open(int maxTokens) {
        return new ReferenceSequence(
                reference.predicts() ? reference.draftingSession() : reference.session());
    }

    @Override
    public VisionTower visionTower() {
        return model.visionTower(kernels)
                .orElseThrow(() -> new EngineException("the model has no vision tower"));
    }

    @Override
    public Sequence open(VisualInput visual) {
        return new ReferenceSequence(reference.session(visual));
    }

    @Override
    public void close() {
        reference.close();
        model.close();
    }

    private record ReferenceSequence(Session session) implements Sequence {
        @Override
        public float[][] feed(int[] ids, ForwardObserver observer) {
            return session.feed(ids, observer);
        }

        @Override
        public int[] draft(int token, int count, int vocabulary) {
            return session.draft(token, count, vocabulary);
        }

        @Override
        public State state(int layer) {
            return switch (session.state(layer)) {
                case LayerState.Delta delta ->
                        new State.Recurrent(
                                delta.conv().toArray(ValueLayout.JAVA_FLOAT),
                                delta.recurrent().toArray(ValueLayout.JAVA_FLOAT));
                case LayerState.KeyValues cache ->
                        new State.KeyValues(cache.keys(), cache.values());
            };
        }

        @Override
        public void close() {
            session.close();
        }
    }
}

package io.atoll.expert;

import io.atoll.expert.store.ResidentExperts;
import io.atoll.kernels.ComputePool;
import io.atoll.model.ModelDirectory;
import java.util.ArrayList;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// A worker's experts and the files that they come from, which stay open where weights lie in them.
final class LoadedModel implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(LoadedModel.class);

    private final ExpertWorkerSettings settings;
    private final ResidentExperts experts;
    private final String digest;
    private final List<ModelDirectory> open = new ArrayList<>();
    private ResidentExperts.Source source; // null until more experts are asked for

    /// Loads the experts of the settings' shard.
    LoadedModel(ExpertWorkerSettings settings) {
        this.settings = settings;
        ModelDirectory model = ModelDirectory.open(settings.modelPath());
        try (ComputePool loaders = new ComputePool(settings.threads())) {
            long begin = System.nanoTime();
            experts =
                    ResidentExperts.load(
                            model.textWeights(),
                            settings.shard(),
                            settings.weightFormat(),
                            loaders);
            digest = model.modelDigest();
            LOG.info(
                    "{} holds {} experts ({}), {} MiB as {}, loaded in {} ms",
                    settings.name(),
                    settings.shard().size(),
                    settings.shard(),
                    experts.contents().bytes() >> 20,
                    experts.contents().formats(),
                    (System.nanoTime() - begin) / 1_000_000);
        } catch (RuntimeException | Error e) {
            model.close();
            throw e;
        }
        if (model.pack().isPresent()) {
            open.add(model);
        } else {
            model.close();
        }
    }

    ResidentExperts experts() {
        return experts;
    }

    String digest() {
        return digest;
    }

    /// Where more experts come from; opened at the first call.
    synchronized ResidentExperts.Source source() {
        if (source == null) {
            ModelDirectory model = ModelDirectory.open(settings.sourcePath());
            open.add(model);
            source = ResidentExperts.source(model.textWeights(), settings.weightFormat());
        }
        return source;
    }

    /// Closes the files; the experts are closed by who computes with them, before.
    @Override
    public synchronized void close() {
        open.forEach(ModelDirectory::close);
        open.clear();
    }
}

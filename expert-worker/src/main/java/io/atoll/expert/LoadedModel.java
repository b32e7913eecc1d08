package io.atoll.expert;

import io.atoll.expert.store.ResidentExperts;
import io.atoll.expert.transfer.ExpertTransferException;
import io.atoll.expert.transfer.ModelShape;
import io.atoll.expert.transfer.PeerExperts;
import io.atoll.kernels.ComputePool;
import io.atoll.model.ModelDirectory;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// A worker's experts and where they come from: files, which stay open where weights lie in them, or other workers.
final class LoadedModel implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(LoadedModel.class);

    private final ExpertWorkerSettings settings;
    private final ResidentExperts experts;
    private final String digest;
    private final List<ModelDirectory> open = new ArrayList<>();
    private ResidentExperts.Source source; // null until more experts are asked for

    /// Loads the experts of the settings' shard.
    ///
    /// @param peers where they come from instead of the settings' model
    LoadedModel(ExpertWorkerSettings settings, Optional<PeerExperts> peers) {
        this.settings = settings;
        if (peers.isPresent()) {
            ModelShape shape = shape(peers.get());
            digest = shape.digest();
            source = peers.get();
            try (ComputePool fetching = new ComputePool(source.concurrency())) {
                long begin = System.nanoTime();
                experts =
                        new ResidentExperts(
                                settings.shard(),
                                shape.hidden(),
                                shape.intermediate(),
                                shape.quantizedRows(),
                                source,
                                fetching);
                note("fetched from other workers", begin);
            }
            return;
        }
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
            note("loaded", begin);
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

    private static ModelShape shape(PeerExperts peers) {
        try {
            return peers.shape(Duration.ZERO); // known already, or one is there
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new ExpertTransferException("interrupted");
        }
    }

    private void note(String how, long begin) {
        LOG.info(
                "{} holds {} experts ({}), {} MiB as {}, {} in {} ms",
                settings.name(),
                settings.shard().size(),
                settings.shard(),
                experts.contents().bytes() >> 20,
                experts.contents().formats(),
                how,
                (System.nanoTime() - begin) / 1_000_000);
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

package io.atoll.cli.chaos;

import io.atoll.cli.process.LocalCluster;
import java.io.IOException;
import java.time.Duration;
import java.util.Locale;

/// Something that happens to an expert worker.
enum Fault {
    /// `kill -9`; it is started again after a while.
    KILL(Duration.ofSeconds(2)) {
        @Override
        void begin(LocalCluster cluster, int worker) throws InterruptedException {
            cluster.killWorker(worker);
        }
    },

    /// `kill -STOP`, as a machine hangs whose connections stay open; it goes on after a while.
    FREEZE(Duration.ofSeconds(4)) {
        @Override
        void begin(LocalCluster cluster, int worker) throws IOException, InterruptedException {
            cluster.freezeWorker(worker);
        }

        @Override
        void end(LocalCluster cluster, int worker, String shard)
                throws IOException, InterruptedException {
            cluster.thawWorker(worker);
        }
    },

    /// It is asked to stop, and started again at once.
    RESTART(Duration.ZERO) {
        @Override
        void begin(LocalCluster cluster, int worker) {
            cluster.stopWorker(worker);
        }
    };

    private final Duration lasts;

    Fault(Duration lasts) {
        this.lasts = lasts;
    }

    /// How long it is left alone before it is mended.
    Duration lasts() {
        return lasts;
    }

    /// Does the harm.
    abstract void begin(LocalCluster cluster, int worker) throws IOException, InterruptedException;

    /// Mends it.
    ///
    /// @param shard what the worker holds
    void end(LocalCluster cluster, int worker, String shard)
            throws IOException, InterruptedException {
        cluster.restartWorker(worker, shard);
    }

    String label() {
        return name().toLowerCase(Locale.ROOT);
    }
}

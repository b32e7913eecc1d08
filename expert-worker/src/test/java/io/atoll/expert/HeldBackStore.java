package io.atoll.expert;

import io.atoll.cluster.placement.ExpertShard;
import io.atoll.expert.store.ExpertStore;
import io.atoll.expert.store.PackedExpert;
import java.util.concurrent.CountDownLatch;

/// A store that keeps the compute thread waiting in its first pass until it is let go, so that a test decides what queues up
/// behind it.
final class HeldBackStore implements ExpertStore {
    private final ExpertStore store;
    private final CountDownLatch entered = new CountDownLatch(1);
    private final CountDownLatch letGo = new CountDownLatch(1);

    HeldBackStore(ExpertStore store) {
        this.store = store;
    }

    void awaitCompute() throws InterruptedException {
        entered.await();
    }

    void letGo() {
        letGo.countDown();
    }

    @Override
    public ExpertShard shard() {
        return store.shard();
    }

    @Override
    public int hidden() {
        return store.hidden();
    }

    @Override
    public int intermediate() {
        return store.intermediate();
    }

    @Override
    public boolean takesQuantizedRows() {
        return store.takesQuantizedRows();
    }

    @Override
    public PackedExpert expert(int layer, int expert) {
        entered.countDown();
        try {
            letGo.await();
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
        return store.expert(layer, expert);
    }

    @Override
    public void close() {
        store.close();
    }
}

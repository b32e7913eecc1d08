package io.atoll.attention.state;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/// The recurrent and convolution states of all Gated DeltaNet layers, one slot for each open sequence and each checkpoint. Owns
/// the memory.
///
/// A slot is, layer after layer, the recurrent state and then the convolution state, and behind them what waits for the prediction
/// module, so that a sequence's state is one run of bytes.
final class RecurrentStatePool implements AutoCloseable {
    private final Arena arena = Arena.ofShared();
    private final StateShape shape;
    private final MemorySegment memory; // [slots, slotBytes]
    private final int[] freeSlots;
    private int free;

    RecurrentStatePool(StateShape shape, int slots) {
        this.shape = shape;
        try {
            memory = LazyMemory.allocate(slots * shape.slotBytes(), "recurrent states", arena);
        } catch (OutOfMemoryError e) {
            arena.close();
            throw e;
        }
        freeSlots = new int[slots];
        for (int i = 0; i < slots; i++) {
            freeSlots[i] = slots - 1 - i;
        }
        free = slots;
    }

    int freeSlots() {
        return free;
    }

    /// Lends a slot, its states zero. There must be one.
    int take() {
        int slot = freeSlots[--free];
        slot(slot).fill((byte) 0);
        return slot;
    }

    /// Lends a slot with the states of another. There must be one.
    int copy(int from) {
        int slot = freeSlots[--free];
        slot(slot).copyFrom(slot(from));
        return slot;
    }

    void release(int slot) {
        freeSlots[free++] = slot;
    }

    /// Recurrent state `[valueHeads, keyDim, valueDim]` of a layer.
    MemorySegment recurrent(int slot, int linearLayer) {
        return slot(slot).asSlice(linearLayer * shape.linearLayerBytes(), shape.recurrentBytes());
    }

    /// Convolution state `[width - 1, channels]` of a layer.
    MemorySegment conv(int slot, int linearLayer) {
        return slot(slot)
                .asSlice(
                        linearLayer * shape.linearLayerBytes()
                                + StateShape.align(shape.recurrentBytes()),
                        shape.convBytes());
    }

    /// What waits for the prediction module; of no bytes where there is none.
    MemorySegment pending(int slot) {
        return slot(slot).asSlice(shape.recurrentSlotBytes());
    }

    /// All states of a slot, one run of bytes.
    MemorySegment slot(int slot) {
        return memory.asSlice(slot * shape.slotBytes(), shape.slotBytes());
    }

    @Override
    public void close() {
        arena.close();
    }
}

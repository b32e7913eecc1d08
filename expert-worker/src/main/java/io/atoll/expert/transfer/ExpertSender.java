package io.atoll.expert.transfer;

import com.google.protobuf.InvalidProtocolBufferException;
import io.atoll.expert.store.PackedExpert;
import io.atoll.expert.store.ResidentExperts;
import io.atoll.kernels.PackedMatrix;
import io.atoll.proto.v1.ExpertTicket;
import io.atoll.proto.v1.WorkerCatalogue;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Optional;
import org.apache.arrow.flight.BackpressureStrategy.CallbackBackpressureStrategy;
import org.apache.arrow.flight.BackpressureStrategy.WaitResult;
import org.apache.arrow.flight.CallStatus;
import org.apache.arrow.flight.FlightProducer.ServerStreamListener;
import org.apache.arrow.memory.BufferAllocator;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// Sends experts that this worker holds to peers that ask for them, while it serves. One part of 1 MiB of each transfer is in memory
/// at a time; whoever fetches sets the pace, below [TransferRate].
public final class ExpertSender {
    private static final Logger LOG = LoggerFactory.getLogger(ExpertSender.class);

    /// A peer that takes nothing for so long is given up.
    private static final long STALLED_MILLIS = 30_000;

    private final ResidentExperts store;
    private final WorkerCatalogue model;
    private final TransferRate rate;

    /// @param model what this worker serves, `held` left out
    public ExpertSender(ResidentExperts store, WorkerCatalogue model, TransferRate rate) {
        this.store = store;
        this.model = model;
        this.rate = rate;
    }

    /// What this worker serves and holds now.
    public WorkerCatalogue catalogue() {
        return model.toBuilder().setHeld(store.shard().toString()).build();
    }

    /// Answers one ticket. Blocks until all was sent.
    public void send(byte[] ticket, BufferAllocator allocator, ServerStreamListener out) {
        ExpertTicket wanted;
        try {
            wanted = ExpertTicket.parseFrom(ticket);
        } catch (InvalidProtocolBufferException e) {
            out.error(
                    CallStatus.INVALID_ARGUMENT
                            .withDescription("not an expert's ticket: " + e.getMessage())
                            .toRuntimeException());
            return;
        }
        if (!wanted.getClusterId().equals(model.getClusterId())
                || !wanted.getModelDigest().equals(model.getModelDigest())) {
            out.error(
                    CallStatus.INVALID_ARGUMENT
                            .withDescription(
                                    "%s serves model %s of cluster %s, the ticket is for model %s of %s"
                                            .formatted(
                                                    model.getName(),
                                                    model.getModelDigest(),
                                                    model.getClusterId(),
                                                    wanted.getModelDigest(),
                                                    wanted.getClusterId()))
                            .toRuntimeException());
            return;
        }
        Optional<PackedExpert> expert = store.held(wanted.getLayer(), wanted.getExpert());
        if (expert.isEmpty()) {
            out.error(notHeld(wanted));
            return;
        }
        try (ExpertParts parts = ExpertParts.allocate(allocator)) {
            CallbackBackpressureStrategy pace = new CallbackBackpressureStrategy();
            pace.register(out);
            out.start(parts.root());
            List<PackedMatrix> matrices =
                    List.of(expert.get().gate(), expert.get().up(), expert.get().down());
            for (int i = 0; i < matrices.size(); i++) {
                if (!send(ExpertParts.MATRICES.get(i), matrices.get(i), parts, pace, out)) {
                    return;
                }
            }
            out.completed();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            out.error(
                    CallStatus.UNAVAILABLE
                            .withDescription(model.getName() + " is stopping")
                            .toRuntimeException());
        } catch (IllegalStateException e) {
            // Its memory was given back meanwhile.
            LOG.debug("an expert went while it was sent", e);
            out.error(notHeld(wanted));
        }
    }

    private RuntimeException notHeld(ExpertTicket wanted) {
        return CallStatus.NOT_FOUND
                .withDescription(
                        "layer=%d expert=%d is not held by %s"
                                .formatted(wanted.getLayer(), wanted.getExpert(), model.getName()))
                .toRuntimeException();
    }

    private boolean send(
            String name,
            PackedMatrix matrix,
            ExpertParts parts,
            CallbackBackpressureStrategy pace,
            ServerStreamListener out)
            throws InterruptedException {
        MemorySegment data = matrix.data();
        for (long offset = 0; offset < data.byteSize(); offset += ExpertParts.PART_BYTES) {
            long bytes = Math.min(ExpertParts.PART_BYTES, data.byteSize() - offset);
            rate.take(bytes);
            WaitResult turn = pace.waitForListener(STALLED_MILLIS);
            if (turn != WaitResult.READY) {
                if (turn != WaitResult.CANCELLED) {
                    out.error(
                            CallStatus.TIMED_OUT
                                    .withDescription("nothing was taken for too long")
                                    .toRuntimeException());
                }
                return false;
            }
            parts.set(
                    name,
                    matrix.format().name(),
                    matrix.rows(),
                    matrix.cols(),
                    offset,
                    data.asSlice(offset, bytes));
            out.putNext();
        }
        return true;
    }
}

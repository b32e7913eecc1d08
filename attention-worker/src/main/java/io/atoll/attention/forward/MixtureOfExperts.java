package io.atoll.attention.forward;

import io.atoll.attention.forward.Projections.Projection;
import io.atoll.attention.forward.StageTimes.Stage;
import io.atoll.attention.moe.RoutedExperts;
import io.atoll.kernels.Kernels;
import io.atoll.model.config.TextConfig;
import io.atoll.model.trace.ForwardObserver;
import io.atoll.proto.Failure;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.Optional;

/// The mixture of experts of one layer (model spec B.4): the router's top-k, dispatch to the routed experts, the shared expert
/// while they work, combine.
final class MixtureOfExperts {
    private final int layer;
    private final RoutedExperts experts;
    private final long combineTimeoutNanos;
    private final TextConfig config;
    private final Workspace workspace;
    private final Compute compute;
    private final DenseWeights.Layer weights;
    private final Projections sharedInputs;

    /// @param combineTimeout longest wait for the expert replies
    MixtureOfExperts(
            int layer,
            DenseWeights.Layer weights,
            RoutedExperts experts,
            Duration combineTimeout,
            TextConfig config,
            Workspace workspace,
            Compute compute) {
        this.layer = layer;
        this.weights = weights;
        this.experts = experts;
        this.combineTimeoutNanos = combineTimeout.toNanos();
        this.config = config;
        this.workspace = workspace;
        this.compute = compute;
        sharedInputs =
                new Projections(
                        compute,
                        workspace.quantized,
                        new Projection(weights.sharedGateUp(), workspace.sharedGateUp),
                        new Projection(weights.sharedExpertGate(), workspace.sharedExpertGate));
    }

    /// @param x f32 `[rows, hidden]`, normed; read by the experts until the combine returns. With an observer it is
    ///     overwritten at the end
    /// @param out f32 `[rows, hidden]`, overwritten
    /// @param deadlineNanos [System#nanoTime] at which the step fails
    Optional<Failure> forward(
            int rows,
            MemorySegment x,
            MemorySegment out,
            ForwardObserver observer,
            long deadlineNanos) {
        route(rows, x, observer);
        compute.times().end(Stage.ROUTER);
        long routeBytes = (long) rows * config.expertsPerToken() * Integer.BYTES;
        RoutedExperts.Dispatch dispatch =
                experts.dispatch(
                        layer,
                        rows,
                        x,
                        workspace.expertIds.asSlice(0, routeBytes),
                        workspace.expertWeights.asSlice(0, routeBytes),
                        earlier(deadlineNanos, System.nanoTime() + combineTimeoutNanos));

        compute.times().end(Stage.ROUTED_EXPERTS);
        computeShared(rows, x);
        compute.times().end(Stage.SHARED_EXPERT);

        Optional<Failure> failure = dispatch.combine(out);
        compute.times().end(Stage.ROUTED_EXPERTS);
        if (failure.isPresent()) {
            return failure;
        }
        observer.tensor("routed_output", layer, out, rows, config.hiddenSize());
        if (!observer.equals(ForwardObserver.NONE)) {
            x.asSlice(0, (long) rows * config.hiddenSize() * Float.BYTES).fill((byte) 0);
            addShared(rows, x);
            observer.tensor("shared_output", layer, x, rows, config.hiddenSize());
        }
        addShared(rows, out);
        compute.times().end(Stage.SHARED_EXPERT);
        return Optional.empty();
    }

    private static long earlier(long nanos, long otherNanos) {
        return nanos - otherNanos < 0 ? nanos : otherNanos;
    }

    private void route(int rows, MemorySegment x, ForwardObserver observer) {
        int k = config.expertsPerToken();
        Projections.apply(
                compute, workspace.quantized, weights.router(), x, rows, workspace.routerLogits);
        observer.tensor("router_logits", layer, workspace.routerLogits, rows, config.experts());
        compute.splitRows(
                rows,
                config.experts(),
                (begin, end) ->
                        compute.kernels()
                                .routerTopK(
                                        Rows.from(workspace.routerLogits, begin, config.experts()),
                                        end - begin,
                                        config.experts(),
                                        k,
                                        Rows.from(workspace.expertIds, begin, k),
                                        Rows.from(workspace.expertWeights, begin, k)));
        observer.tensor("topk_ids", layer, workspace.expertIds, rows, k);
        observer.tensor("topk_weights", layer, workspace.expertWeights, rows, k);
    }

    private void computeShared(int rows, MemorySegment x) {
        Kernels kernels = compute.kernels();
        int inner = config.sharedExpertIntermediateSize();
        sharedInputs.apply(x, rows);
        compute.splitRows(
                rows,
                2 * inner,
                (begin, end) ->
                        kernels.swiGlu(
                                Rows.from(workspace.sharedGateUp, begin, 2 * inner),
                                Rows.from(workspace.sharedInner, begin, inner),
                                end - begin,
                                inner));
        Projections.apply(
                compute,
                workspace.quantized,
                weights.sharedDown(),
                workspace.sharedInner,
                rows,
                workspace.sharedOutput);
    }

    private void addShared(int rows, MemorySegment out) {
        int hidden = config.hiddenSize();
        compute.splitRows(
                rows,
                hidden,
                (begin, end) ->
                        compute.kernels()
                                .addGated(
                                        Rows.from(out, begin, hidden),
                                        Rows.from(workspace.sharedOutput, begin, hidden),
                                        Rows.from(workspace.sharedExpertGate, begin, 1),
                                        1,
                                        end - begin,
                                        hidden));
    }
}

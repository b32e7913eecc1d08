/// A process that holds a shard of the routed experts and answers one question: given these rows and these expert choices,
/// what is the weighted sum?
///
/// [ExpertWorker] wires it from [ExpertWorkerSettings]: `service` speaks gRPC and Arrow Flight and checks what comes in,
/// `batch` queues rows and computes those of the same expert together, `store` holds the weights. Knows nothing of
/// attention, sequences or other workers. Read [ExpertWorker] next.
package io.atoll.expert;

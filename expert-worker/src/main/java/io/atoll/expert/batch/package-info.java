/// From rows in a bounded queue to weighted sums.
///
/// [DispatchQueue] bounds what waits and sheds the rest, [BatchLoop] is the one thread that takes what waits for a layer,
/// leaves out what nobody wants any more, and runs [ExpertEngine], which reads each expert's weights once for all rows of
/// the batch. [ExpertEngine] also works without the rest, inside another process.
///
/// Knows nothing of gRPC. Read [ExpertEngine] next.
package io.atoll.expert.batch;

/// The whole text model in one process, plain and slow: the oracle that every faster engine is compared with.
///
/// Owns a forward pass that is written for reading, straight from section B of the model specification, over the kernels'
/// canonical arithmetic, so that an engine with the same kernels must give the same bits. Must not know steps, batches,
/// workers or the wire. Start at [io.atoll.model.reference.Reference]; the pass itself is
/// [io.atoll.model.reference.Session].
package io.atoll.model.reference;

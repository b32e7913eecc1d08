/// Choosing a token from logits.
///
/// Owns the order of the steps, the random numbers and the counts that penalties need. A choice depends on the logits, the
/// parameters, the sequence's own tokens, the seed and the position, and on nothing else. Knows nothing of layers or
/// batches. Entry point: [Sampler].
package io.atoll.attention.sampling;

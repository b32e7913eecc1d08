/// What is kept of each sequence between its steps: keys and values in blocks, and the recurrent states.
///
/// Owns the memory of both, sized at start, and who holds which part of it. Knows nothing of weights or of how a state is
/// computed. Entry point: [SequenceStates]; a sequence's own part is a [SequenceState]. Read `moe` next.
package io.atoll.attention.state;

/// One request from its token ids to its last piece of text.
///
/// Owns the text of a sequence: decoding tokens, stop strings, telling reasoning from the answer, finish reasons and counts.
/// Knows nothing of HTTP, of other sequences or of when its tokens are computed. Start with [GenerationRequest], then
/// [Sequence]; read `scheduler` next.
package io.atoll.coordinator.sequence;

/// Experts that travel from one worker to another, over Arrow Flight: who sends ([ExpertSender]) and who fetches ([PeerExperts]).
///
/// Packed matrices lie the same way in every worker's memory, so what travels is what the kernels read. Knows the store, nothing of
/// batches.
package io.atoll.expert.transfer;

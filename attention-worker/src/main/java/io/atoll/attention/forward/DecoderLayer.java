package io.atoll.attention.forward;

/// One layer of the stack: `x += mixer(norm(x))`, then `x += moe(norm(x))`.
///
/// @param index place in the stack, 0 the lowest
record DecoderLayer(
        int index, RmsNorm inputNorm, Mixer mixer, RmsNorm postMixerNorm, MixtureOfExperts moe) {}

/// The weights a text model has: [io.atoll.model.weights.TextWeights] asks a [io.atoll.model.quant.WeightStore] for each of
/// them by its name and checks its shape against the configuration, and [io.atoll.model.weights.WeightPacking] brings them
/// into the kernels' layout, as exact floats or as the integers of the file ([io.atoll.model.weights.PackingMode]). Knows nothing of how files store weights. Read [io.atoll.model.reference] next, which computes
/// with them.
package io.atoll.model.weights;

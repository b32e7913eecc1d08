/// A model in the layout that the kernels read, on disk.
///
/// Owns the format ([io.atoll.model.pack.PackManifest]), the way from a model to a pack ([io.atoll.model.pack.PackPlan] says where
/// everything goes, [io.atoll.model.pack.Packer] writes it and can be killed at any point), the way back
/// ([io.atoll.model.pack.PackWeights] maps it and checks every region before its first use), and a directory of packs with a bound
/// on its size ([io.atoll.model.pack.PackCache]). Knows nothing of workers, nor of what computes with the weights. Start with
/// [io.atoll.model.pack.PackManifest].
package io.atoll.model.pack;

/// NVIDIA GPUs through JCuda's driver API: devices, their memory, and the kernels of routed experts. Nothing else of CUDA is needed at run
/// time than the driver's own library.
///
/// Owns what lies on a device. Knows nothing of layers, routes or workers. The kernels are in `src/main/cuda`; they take sums in the
/// order that [io.atoll.kernels.Kernels] says, so a GPU gives the bits of a CPU. Entry points: [io.atoll.kernels.cuda.Cuda] finds devices,
/// [io.atoll.kernels.cuda.CudaDevice] is one, [io.atoll.kernels.cuda.ExpertKernels] computes on it.
package io.atoll.kernels.cuda;

/// The arithmetic of one decoder layer, on [java.lang.foreign.MemorySegment]s.
///
/// [Kernels] is the contract and says, operation by operation, in which order a sum is taken. Four families fulfil it:
/// `scalar` (plain Java, the twin every other is tested against), `vector` (Vector API), `nativecode` (C through the FFM
/// API) and, later, `cuda`. On CPUs all of them give the same bits. [PackedMatrix] is the weight layout they read,
/// [ComputePool] the threads they run on, and [KernelLibrary] picks the family at start.
///
/// Knows nothing of models, files or networks. Read [Kernels] next.
package io.atoll.kernels;

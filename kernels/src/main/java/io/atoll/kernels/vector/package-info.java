/// The kernels on the Vector API: what a machine without the C library uses.
///
/// Only the operations that weigh something are here, the rest is inherited from the scalar twin. The Vector API is
/// still incubating, so no other package may import it. Read [VectorKernels].
package io.atoll.kernels.vector;

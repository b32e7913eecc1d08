/// The kernels in plain Java: the slow twin that says what every other family has to compute, and the last resort of a
/// machine that has neither the C library nor the Vector API.
///
/// Must stay plain: no threads, no vectors, no allocation. Read [io.atoll.kernels.Kernels] for the contract and
/// [ScalarKernels] for the code.
package io.atoll.kernels.scalar;

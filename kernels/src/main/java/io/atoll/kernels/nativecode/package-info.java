/// The kernels in C, called through the FFM API: the family for production.
///
/// Owns the library (found as a resource, built by `src/main/c/build.sh`) and the calls into it; which function runs on
/// which processor is the library's business. Knows nothing of the other families. Read [NativeKernels], then
/// `src/main/c/kernels.c`.
package io.atoll.kernels.nativecode;

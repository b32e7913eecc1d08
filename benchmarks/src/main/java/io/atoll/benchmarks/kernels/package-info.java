/// The kernels, operation by operation, in the sizes of the 397B model and of the demo model.
///
/// `-p kernels=...` chooses the families to compare. [ReadSum] says what the memory gives on the same machine: compare with
/// it, and in the same run.
package io.atoll.benchmarks.kernels;

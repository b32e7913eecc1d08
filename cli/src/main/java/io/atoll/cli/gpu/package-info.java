/// What `scripts/gpu-check` runs: the kernels of GPUs against those of the CPU, bit for bit, and their speed against the device's memory.
/// Needs no model but the demo's. [io.atoll.cli.gpu.GpuCheckCommand] is the command.
package io.atoll.cli.gpu;

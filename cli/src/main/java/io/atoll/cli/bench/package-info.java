/// `atoll bench`: how fast this machine or a small cluster on it serves a model, and models of random weights to measure with.
/// Start with [io.atoll.cli.bench.BenchCommand].
package io.atoll.cli.bench;

/// What an operator does to a cluster that runs: look at it, move experts, empty a worker. Every command asks the coordinator over
/// its HTTP API.
package io.atoll.cli.cluster;

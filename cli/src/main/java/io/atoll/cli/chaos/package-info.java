/// Faults under load: what `scripts/chaos` runs to show that a user's stream survives a worker's death. Knows processes and the
/// HTTP API only, never the server's insides. [io.atoll.cli.chaos.ChaosCommand] does the harm, [io.atoll.cli.chaos.StreamLoad] is the load
/// and the judge.
package io.atoll.cli.chaos;

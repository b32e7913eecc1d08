/// The cluster as data: its one file (`config`) and which worker holds which expert (`placement`).
///
/// Pure: no I/O beyond reading the file, no clock, no network.
package io.atoll.cluster;

/// End-to-end measurements: whole processes, asked through the API.
package io.atoll.benchmarks.cluster;

/// placeholder
package io.atoll.benchmarks;

/// Which rows the next step holds: admission, chunked prefill, cancellation, deadlines.
///
/// Owns the order in which sequences run and how far each has come. Knows nothing of text, HTTP, threads or clocks: time and
/// everything that happened come in as arguments of [Scheduler#next]. Read `engine` next, the loop that calls it.
package io.atoll.coordinator.scheduler;

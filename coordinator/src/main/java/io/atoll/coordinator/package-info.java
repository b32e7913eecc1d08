/// One coordinator, put together: [Coordinator] builds the objects, and nothing else is decided here.
///
/// A request's way is `http`, `sequence`, `scheduler`, `engine`, in this order; start reading at
/// [io.atoll.coordinator.http.HttpApi]. On the way in it may have to pass the `gate`, and `metrics` counts what comes of it.
package io.atoll.coordinator;

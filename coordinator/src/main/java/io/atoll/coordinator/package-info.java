/// One coordinator, put together: [Coordinator] builds the objects, and nothing else is decided here.
///
/// A request's way is `http`, `sequence`, `scheduler`, `engine`, in this order; start reading at
/// [io.atoll.coordinator.http.HttpApi].
package io.atoll.coordinator;

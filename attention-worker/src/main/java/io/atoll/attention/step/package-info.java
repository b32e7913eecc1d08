/// What an attention worker does for a coordinator: sequences are opened, stepped and closed.
///
/// [AttentionWorker] is the whole interface; it is a method call in one process and gRPC between two. This is the only
/// package of the module that the coordinator imports. Read `forward` next.
package io.atoll.attention.step;

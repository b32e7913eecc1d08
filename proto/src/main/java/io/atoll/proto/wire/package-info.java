/// The data plane's bytes: Flight messages whose body is an Arrow record batch, written and read without a heap copy.
///
/// Knows Arrow's layout and gRPC's marshaller, and nothing of what the rows mean to a model.
package io.atoll.proto.wire;

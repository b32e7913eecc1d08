/// The data plane's bytes: Flight messages whose body is an Arrow record batch, written and read without a heap copy.
///
/// [FlightMessage] is one message on a `DoExchange` stream; its bytes live in a pooled native buffer ([WirePool]) that the
/// gRPC marshaller ([DataPlane#exchangeMethod]) fills straight from the transport's buffers. [RequestWriter] and
/// [RequestReader] lay out and check rows and routes, [SumWriter] and [SumReader] the weighted sums, [ArrowSchemas] the
/// schemas that open a stream, [DispatchHeader] and [ReplyHeader] what travels beside a batch in `app_metadata`, and
/// [Handshake] compares two hellos.
///
/// Every reader treats its bytes as hostile: what does not parse is a [MalformedMessageException] that names the field.
///
/// Knows Arrow's layout and gRPC's marshaller, and nothing of what the rows mean to a model. Read [DataPlane] next.
package io.atoll.proto.wire;

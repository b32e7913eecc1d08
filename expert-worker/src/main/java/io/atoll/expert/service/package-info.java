/// What an expert worker says on its port: an Arrow Flight service with our own `DoExchange`, and gRPC's health service.
///
/// [ExpertService] assembles the gRPC services, [ExchangeStream] is one `DoExchange` stream from hello to end,
/// [WorkerIdentity] what the worker says about itself, [ExpertFlights] the catalogue that any Flight client can read. Rows
/// that pass the checks go to `batch`. Knows nothing of kernels or weights.
package io.atoll.expert.service;

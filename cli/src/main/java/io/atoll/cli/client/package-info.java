/// A small client of the OpenAI-style API, for `atoll chat`, `atoll generate --url` and the demo.
///
/// Knows HTTP and JSON, nothing of the server's classes: what it can do, any client can. Start with [ApiClient].
package io.atoll.cli.client;

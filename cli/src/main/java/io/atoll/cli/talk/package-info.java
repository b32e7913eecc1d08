/// The commands that talk to a model: `atoll chat`, `atoll generate` and `atoll demo`.
///
/// They are clients: each reaches its model through HTTP ([io.atoll.cli.client.ApiClient]), also when it has started the
/// server itself.
package io.atoll.cli.talk;

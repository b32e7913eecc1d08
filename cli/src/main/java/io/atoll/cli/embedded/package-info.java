/// Roles in one process: what is a network between processes is a method call here.
///
/// Owns the adapters between the modules that must not know each other, nothing else. Read
/// [io.atoll.cli.embedded.EmbeddedExperts].
package io.atoll.cli.embedded;

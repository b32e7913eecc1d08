/// Who may use the API and how much of it: API keys and what each has used, and files that are read again when they change.
///
/// Knows no HTTP: `http` asks [ApiKeys] before it takes a request and says what came of it. Start with [ApiKeys].
package io.atoll.coordinator.gate;

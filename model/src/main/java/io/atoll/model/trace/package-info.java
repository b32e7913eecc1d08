/// Looking into a forward pass: [ForwardObserver] is called with each intermediate that the golden files name, and [Recording] keeps
/// them. Knows no engine.
package io.atoll.model.trace;

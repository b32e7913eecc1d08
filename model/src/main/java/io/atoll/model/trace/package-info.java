/// Looking into a forward pass: [ForwardObserver] is called with each intermediate that the golden files name.
package io.atoll.model.trace;

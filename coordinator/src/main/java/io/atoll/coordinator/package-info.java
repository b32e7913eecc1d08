/// placeholder
package io.atoll.coordinator;

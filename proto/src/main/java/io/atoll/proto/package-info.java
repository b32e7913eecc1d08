/// placeholder
package io.atoll.proto;

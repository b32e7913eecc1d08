/// placeholder
package io.atoll.cluster;

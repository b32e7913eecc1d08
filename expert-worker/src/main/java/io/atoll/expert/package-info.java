/// placeholder
package io.atoll.expert;

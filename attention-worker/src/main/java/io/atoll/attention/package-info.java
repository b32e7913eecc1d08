/// placeholder
package io.atoll.attention;

/// placeholder
package io.atoll.model;

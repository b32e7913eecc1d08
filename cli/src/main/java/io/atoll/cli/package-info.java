/// placeholder
package io.atoll.cli;

/// Looking at a cluster file without starting anything.
package io.atoll.cli.config;

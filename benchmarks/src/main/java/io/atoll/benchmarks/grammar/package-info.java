/// What it costs to hold an answer to a form.
package io.atoll.benchmarks.grammar;

/// Starts roles of Atoll as processes of their own, for the demo, conformance and the cluster tests.
package io.atoll.cli.process;

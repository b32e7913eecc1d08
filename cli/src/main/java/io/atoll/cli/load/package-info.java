/// The load of `atoll bench serve`: many agent sessions against one endpoint, and what their requests say about it. Knows the
/// HTTP API only, never the server's insides. [io.atoll.cli.load.LoadRun] runs the sessions, [io.atoll.cli.load.LoadResult] counts.
package io.atoll.cli.load;

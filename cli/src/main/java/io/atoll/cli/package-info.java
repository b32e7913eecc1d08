/// The one `atoll` command: [Main] has the list of subcommands, and each lives in a package of what it is about. Read `roles` next,
/// which puts the parts of a process together.
package io.atoll.cli;

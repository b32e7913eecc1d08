/// The commands that serve: each role in a process of its own, and all of them in one.
///
/// The only place where the parts of the other modules are put together, with constructors, top to bottom. What a role does is
/// in its own module. Start with [ServeCommand].
package io.atoll.cli.roles;

/// `atoll conformance`: runs an engine against golden files made with another implementation of the model.
///
/// Owns what each suite compares and how closely, and the three engines it can be run on. Must not know which files it is given: sizes,
/// cases and layer types come from them. Start at [io.atoll.cli.conformance.ConformanceCommand], then [
/// io.atoll.cli.conformance.ForwardSuite] and the other suites; engines are behind [io.atoll.cli.conformance.Engine].
package io.atoll.cli.conformance;

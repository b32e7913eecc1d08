/// `atoll conformance`: runs an engine against golden files made with another implementation of the model.
///
/// Owns what each suite compares and how closely, and the engines it can be run on. Must not know which files it is given: sizes,
/// cases and layer types come from them. Start at [io.atoll.cli.conformance.ConformanceCommand], then read a suite, such as
/// [io.atoll.cli.conformance.ForwardSuite]; engines are behind [io.atoll.cli.conformance.Engine].
package io.atoll.cli.conformance;

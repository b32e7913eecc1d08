package io.atoll.cli.conformance;

import io.atoll.kernels.KvFormat;

/// One kind of golden files and how an engine's results are compared with them.
interface Suite {
    /// The name of its directory.
    String name();

    /// How the engine under test keeps keys and values: as it serves by default, unless the golden files are compared more closely than
    /// that allows.
    default KvFormat kvFormat() {
        return KvFormat.BF16;
    }

    /// Whether it can be run with an engine of this kind.
    default boolean supports(ConformanceCommand.EngineKind engine) {
        return true;
    }

    /// Compares everything in the set.
    ///
    /// @param engines opens the engine under test; a suite that runs no model leaves it alone
    /// @throws FixtureException if a golden file is missing or torn
    /// @throws EngineException if the engine fails
    void run(FixtureSet fixtures, Engine.Opener engines, Checks checks);
}

package io.atoll.tests;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.atoll.cli.Main;
import org.junit.jupiter.api.Test;

/// One kill, one freeze and one restart under load cost no request and no token.
class ChaosTest {
    @Test
    void oneOfEachFaultIsSurvived() {
        System.setProperty("atoll.home", System.getProperty("atoll.root"));
        assertEquals(0, Main.commandLine().execute("chaos", "--once"));
    }
}

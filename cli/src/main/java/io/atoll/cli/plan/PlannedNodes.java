package io.atoll.cli.plan;

import io.atoll.cluster.placement.ExpertNode;
import io.atoll.cluster.placement.ModelWork;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// Machines as `--nodes` describes them: `[COUNTx][NAME=]MEMORY@SPEED[@ARITHMETIC]`.
final class PlannedNodes {
    private static final int MOST = 1000;

    /// Of a machine of which only the memory is told: what a 2-core AVX-512 machine did (docs/placement.md).
    private static final double OPERATIONS_PER_BYTE = 15;

    private static final Pattern FORM =
            Pattern.compile(
                    "(?:(\\d{1,4})x)?(?:([A-Za-z0-9][A-Za-z0-9._-]{0,62})=)?([^@=]+)@([^@=]+)(?:@([^@=]+))?");

    private PlannedNodes() {}

    /// @throws IllegalArgumentException naming the machine that is not understood, and why
    static List<ExpertNode> parse(List<String> texts, ModelWork work) {
        List<ExpertNode> nodes = new ArrayList<>();
        Set<String> names = new HashSet<>();
        for (String text : texts) {
            add(text.strip(), work, nodes, names);
        }
        return nodes;
    }

    private static void add(
            String text, ModelWork work, List<ExpertNode> nodes, Set<String> names) {
        Matcher form = FORM.matcher(text);
        if (!form.matches()) {
            throw new IllegalArgumentException(
                    "'" + text + "' is not like 64GB@40GB/s, 4x64GB@40GB/s or big=256GB@80GB/s");
        }
        int count = form.group(1) == null ? 1 : Integer.parseInt(form.group(1));
        if (count == 0 || nodes.size() + count > MOST) {
            throw new IllegalArgumentException("'" + text + "': 1 to " + MOST + " machines");
        }
        long memory;
        double speed;
        double operations;
        try {
            memory = (long) Quantity.bytes(form.group(3));
            speed = Quantity.bytesPerSecond(form.group(4));
            operations =
                    form.group(5) == null
                            ? OPERATIONS_PER_BYTE * speed
                            : Quantity.operationsPerSecond(form.group(5));
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException("'" + text + "': " + e.getMessage(), e);
        }
        for (int i = 1; i <= count; i++) {
            String name = form.group(2) == null ? "n" + (nodes.size() + 1) : form.group(2);
            if (form.group(2) != null && count > 1) {
                name += i;
            }
            if (!names.add(name)) {
                throw new IllegalArgumentException("two machines are named '" + name + "'");
            }
            nodes.add(
                    new ExpertNode(
                            name,
                            memory,
                            speed,
                            work.rowsPerSecond(operations),
                            ExpertNode.Device.CPU));
        }
    }
}

package io.atoll.cli.gpu;

import io.atoll.cli.AtollHome;
import io.atoll.cluster.placement.ExpertShard;
import io.atoll.expert.store.ExpertStore;
import io.atoll.expert.store.ResidentExperts;
import io.atoll.kernels.ComputePool;
import io.atoll.kernels.KernelLibrary;
import io.atoll.kernels.Kernels;
import io.atoll.kernels.WeightFormat;
import io.atoll.kernels.cuda.Cuda;
import io.atoll.kernels.cuda.StandIn;
import io.atoll.model.ModelDirectory;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/// Checks the kernels of GPUs, and times them: what `scripts/gpu-check` runs.
@Command(
        name = "gpu-check",
        description = {
            "Compare the GPU's kernels with the CPU's, bit for bit, in every weight format, and"
                    + " time them",
            "against the GPU's memory. Exit status 0 only if every comparison is equal."
        },
        footer = {
            "",
            "Examples:",
            "  scripts/gpu-check",
            "  scripts/gpu-check --stand-in      # the same comparisons without a GPU, slowly, no"
                    + " times"
        })
public final class GpuCheckCommand implements Callable<Integer> {
    private static final long COPY_BYTES = 2L << 30;
    private static final int RUNS = 20;

    // The 397B: an expert, those that a worker may hold of a layer, and those that a row chooses.
    private static final int HIDDEN = 4096;
    private static final int INTERMEDIATE = 1024;
    private static final int RESIDENT = 128;
    private static final int CHOSEN = 10;

    private static final int[] BATCHES = {1, 3, 13};
    private static final int[] QUICK_BATCHES = {5};

    @Option(
            names = "--stand-in",
            description = "Run the kernels on the CPU behind a library that looks like the driver.")
    private boolean standIn;

    @Option(names = "--no-times", description = "Compare only.")
    private boolean noTimes;

    @Option(
            names = "--quick",
            description = "Fewer batches of every format, and one layer of the model.")
    private boolean quick;

    @Option(
            names = "--model",
            paramLabel = "PATH",
            description = "Experts of another model to compare. Default: the demo model.")
    private Optional<Path> model;

    private final Kernels kernels = KernelLibrary.select(Optional.empty());
    private final List<String> unequal = new ArrayList<>();
    private int comparisons;

    @Override
    public Integer call() throws IOException {
        if (standIn) {
            StandIn.load();
        }
        return switch (Cuda.probe()) {
            case Cuda.Availability.Absent(String reason) -> {
                System.out.printf(Locale.ROOT, "no GPU can be used: %s%n", reason);
                yield 1;
            }
            case Cuda.Availability.Usable(List<Cuda.Device> devices) -> check(devices);
        };
    }

    private int check(List<Cuda.Device> devices) {
        devices.forEach(device -> System.out.printf(Locale.ROOT, "%s%n", device));
        System.out.println();
        compareFormats(devices);
        compareModel(devices);
        System.out.printf(
                Locale.ROOT,
                "%d comparisons, %d unequal%s%n",
                comparisons,
                unequal.size(),
                unequal.isEmpty() ? "" : ": " + String.join(", ", unequal));
        if (!standIn && !noTimes) {
            System.out.println();
            time(devices);
        }
        return unequal.isEmpty() ? 0 : 1;
    }

    /// Every format as gate and up and as down, with sizes that fill neither warps nor launches.
    private void compareFormats(List<Cuda.Device> devices) {
        System.out.printf(
                Locale.ROOT,
                "random experts of every format, against the %s kernels of the CPU%n",
                kernels);
        for (WeightFormat format : WeightFormat.values()) {
            int multiple = Math.max(format.columnMultiple(), WeightFormat.BLOCK);
            int hidden = multiple * (multiple > 128 ? 1 : 3);
            WeightFormat down = format.takesQuantizedRows() ? format : WeightFormat.Q8;
            compareSizes(devices, format, down, hidden, multiple);
            compareSizes(devices, format, format, multiple + 256, multiple);
        }
    }

    private void compareSizes(
            List<Cuda.Device> devices,
            WeightFormat gateUp,
            WeightFormat down,
            int hidden,
            int intermediate) {
        int experts = 5;
        ExpertStore store =
                CheckedExperts.random(gateUp, down, hidden, intermediate, experts, comparisons);
        try (CheckedExperts both = new CheckedExperts(store, kernels, devices, comparisons)) {
            for (int rows : quick ? QUICK_BATCHES : BATCHES) {
                both.batch(0, rows, 3);
                note(
                        gateUp + "/" + down + " " + hidden + "x" + intermediate + " rows=" + rows,
                        both.agree());
            }
        }
    }

    /// The experts of a trained model, a layer at a time.
    private void compareModel(List<Cuda.Device> devices) {
        Path path = model.orElseGet(AtollHome::demoModel);
        try (ModelDirectory opened = ModelDirectory.open(path);
                ComputePool loaders = new ComputePool(1)) {
            int layers = opened.config().text().layerCount();
            ExpertShard all = ExpertShard.all(layers, opened.config().text().experts());
            System.out.printf(Locale.ROOT, "the experts of %s%n", path.getFileName());
            for (Optional<WeightFormat> format :
                    List.of(Optional.<WeightFormat>empty(), Optional.of(WeightFormat.Q8))) {
                ExpertStore store =
                        ResidentExperts.load(opened.textWeights(), all, format, loaders);
                try (CheckedExperts both = new CheckedExperts(store, kernels, devices, 7)) {
                    for (int layer = quick ? layers - 1 : 0; layer < layers; layer++) {
                        both.batch(layer, 9, opened.config().text().expertsPerToken());
                        note("model layer " + layer + " " + format, both.agree());
                    }
                }
            }
        }
    }

    private void note(String what, boolean isEqual) {
        comparisons++;
        if (!isEqual) {
            unequal.add(what);
            System.out.printf(Locale.ROOT, "  UNEQUAL: %s%n", what);
        }
    }

    /// One layer of the 397B's width with the experts that fit, from decode to prefill.
    private void time(List<Cuda.Device> devices) {
        List<Cuda.Device> first = devices.subList(0, 1);
        System.out.printf(
                Locale.ROOT,
                "one MoE layer of the 397B's width, %d experts on %s%n",
                RESIDENT,
                first.getFirst());
        System.out.printf(
                Locale.ROOT,
                "%-14s %5s %8s | %9s %7s %5s | %9s %7s %5s | %9s%n",
                "gate,up/down",
                "rows",
                "weights",
                "gate+up",
                "GB/s",
                "copy",
                "down",
                "GB/s",
                "copy",
                "layer");
        time(first, WeightFormat.Q4_K, WeightFormat.Q4_K);
        time(first, WeightFormat.Q4_K, WeightFormat.Q6_K);
        time(first, WeightFormat.Q5_K, WeightFormat.Q5_K);
        time(first, WeightFormat.Q8, WeightFormat.Q8);
        time(first, WeightFormat.NVFP4, WeightFormat.NVFP4);
        time(first, WeightFormat.MXFP4, WeightFormat.MXFP4);
        time(first, WeightFormat.F8_E4M3, WeightFormat.F8_E4M3);
        time(first, WeightFormat.BF16, WeightFormat.BF16);
    }

    private void time(List<Cuda.Device> devices, WeightFormat gateUp, WeightFormat down) {
        ExpertStore store = CheckedExperts.random(gateUp, down, HIDDEN, INTERMEDIATE, RESIDENT, 1);
        try (CheckedExperts experts = new CheckedExperts(store, kernels, devices, 2)) {
            double copy = experts.device().copyRate(COPY_BYTES, RUNS);
            System.out.printf(Locale.ROOT, "  copy %.0f GB/s%n", copy / 1e9);
            for (int rows : new int[] {1, 2, 4, 8, 32, 128, 1024}) {
                experts.batch(0, rows, CHOSEN);
                long[] nanos = new long[RUNS];
                for (int i = 0; i < RUNS; i++) {
                    long begin = System.nanoTime();
                    experts.run();
                    nanos[i] = System.nanoTime() - begin;
                }
                Arrays.sort(nanos);
                long bytes = experts.device().weightBytes();
                double gateUpBytes =
                        bytes
                                * 2.0
                                * gateUp.groupBytes(HIDDEN)
                                * INTERMEDIATE
                                / (2.0 * gateUp.groupBytes(HIDDEN) * INTERMEDIATE
                                        + (double) down.groupBytes(INTERMEDIATE) * HIDDEN);
                float[] millis = experts.device().time(RUNS);
                double inner = gateUpBytes / millis[0] / 1e6;
                double outer = (bytes - gateUpBytes) / millis[1] / 1e6;
                System.out.printf(
                        Locale.ROOT,
                        "%-14s %5d %5d MB | %6.0f us %7.0f %4.0f%% | %6.0f us %7.0f %4.0f%% |"
                                + " %6.0f%n us",
                        gateUp + "/" + down,
                        rows,
                        bytes / 1_000_000,
                        millis[0] * 1e3,
                        inner,
                        100e9 * inner / copy,
                        millis[1] * 1e3,
                        outer,
                        100e9 * outer / copy,
                        nanos[RUNS / 2] / 1e3);
            }
        }
    }
}

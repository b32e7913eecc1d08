package io.atoll.cli.conformance;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.atoll.kernels.KernelLibrary;
import io.atoll.kernels.KvFormat;
import io.atoll.model.checkpoint.Checkpoint;
import io.atoll.model.checkpoint.DType;
import io.atoll.model.checkpoint.SafetensorsWriter;
import io.atoll.model.checkpoint.Tensor;
import io.atoll.model.config.TextConfig;
import io.atoll.model.trace.ForwardObserver;
import io.atoll.model.trace.Recording;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;
import java.util.function.UnaryOperator;

/// A `forward/` suite with what the reference computes, for tests of the command: a set that agrees by construction until a test changes
/// a value. What the reference itself must compute is tested against another implementation, beside it.
final class OwnGoldenFiles {
    private static final int[] PROMPT = {2017, 801, 261, 198, 344, 287, 273};
    private static final int DECODED = 2;
    private static final ObjectMapper MAPPER = new ObjectMapper();

    private final Path forward;

    private OwnGoldenFiles(Path forward) {
        this.forward = forward;
    }

    /// Writes the files.
    static void write(Path set, Path model) throws IOException {
        Path forward = Files.createDirectories(set.resolve("forward"));
        try (Engine engine =
                ReferenceEngine.open(model, KernelLibrary.select(Optional.empty()), KvFormat.F32)) {
            new OwnGoldenFiles(forward).write(engine);
        }
    }

    /// Writes one file again with another tensor in it.
    ///
    /// @param change from the tensor's values to the new ones
    static void change(Path file, String name, UnaryOperator<float[]> change) throws IOException {
        Path changed = file.resolveSibling("changed.safetensors");
        try (Checkpoint tensors = Checkpoint.open(file)) {
            SafetensorsWriter writer = new SafetensorsWriter();
            for (String each : tensors.names()) {
                Tensor tensor = tensors.require(each);
                if (each.equals(name)) {
                    writer.addF32(name, tensor.shape(), change.apply(tensor.floats()));
                } else {
                    writer.add(each, tensor.dtype(), tensor.shape(), tensor.data());
                }
            }
            writer.write(changed);
        }
        Files.move(changed, file, StandardCopyOption.REPLACE_EXISTING);
    }

    private void write(Engine engine) throws IOException {
        TextConfig config = engine.config();
        int[] decoded = new int[DECODED];
        try (Engine.Sequence sequence = engine.open(PROMPT.length + DECODED)) {
            Recording recording = new Recording();
            float[][] logits = sequence.feed(PROMPT, recording);
            intermediates("prompt", recording, config, PROMPT.length);
            states("state_after_prompt", sequence, config);
            recording = new Recording();
            for (int i = 0; i < DECODED; i++) {
                float[] last = logits[logits.length - 1];
                decoded[i] = Logits.largest(last, last.length);
                logits = sequence.feed(new int[] {decoded[i]}, recording);
                if (i == 0) {
                    states("state_after_first_decode", sequence, config);
                }
            }
            intermediates("decode", recording, config, DECODED);
            states("state_after_decode", sequence, config);
        }
        ObjectNode trace = MAPPER.createObjectNode();
        trace.set("prompt_ids", MAPPER.valueToTree(PROMPT));
        trace.set("decoded_ids", MAPPER.valueToTree(decoded));
        ArrayNode types = trace.putArray("layer_types");
        config.layers().forEach(type -> types.add(type.name().toLowerCase(Locale.ROOT)));
        MAPPER.writeValue(forward.resolve("trace.json").toFile(), trace);

        ObjectNode prompts = MAPPER.createObjectNode();
        prompts("prompts", engine, prompts);
        ObjectNode yarn =
                MAPPER.createObjectNode(); // the model's own parameters: a set need not stretch
        // anything
        ObjectNode rope = yarn.putObject("rope_parameters");
        rope.put("rope_type", "default");
        rope.put("rope_theta", config.rope().theta());
        rope.put("partial_rotary_factor", config.rope().partialRotaryFactor());
        rope.put("mrope_interleaved", true);
        rope.set("mrope_section", MAPPER.valueToTree(config.rope().mropeSection()));
        yarn.put("attention_factor", 1.0);
        yarn.set(
                "inverse_frequencies",
                MAPPER.valueToTree(config.rope().inverseFrequencies(config.rotaryDim())));
        prompts("yarn", engine, yarn);
    }

    private void intermediates(String file, Recording recording, TextConfig config, int rows)
            throws IOException {
        SafetensorsWriter writer = new SafetensorsWriter();
        for (String name : recording.names()) {
            if (name.startsWith("mtp_")) {
                continue; // a row less than the prompt has; not among these golden files
            }
            if (name.endsWith("topk_ids")) {
                int[] ids = recording.ints(name).orElseThrow();
                addInts(writer, name, ids, rows, config.expertsPerToken());
            } else {
                add(writer, name, recording.floats(name).orElseThrow(), rows);
            }
        }
        writer.write(forward.resolve(file + ".safetensors"));
    }

    private void states(String file, Engine.Sequence sequence, TextConfig config)
            throws IOException {
        SafetensorsWriter writer = new SafetensorsWriter();
        for (int i = 0; i < config.layerCount(); i++) {
            String layer = "layer." + i + ".";
            switch (sequence.state(i)) {
                case Engine.State.Recurrent(float[] conv, float[] recurrent) -> {
                    int taps = config.convKernel() - 1;
                    float[] turned = new float[conv.length];
                    for (int j = 0; j < conv.length; j++) {
                        turned[j % config.convDim() * taps + j / config.convDim()] = conv[j];
                    }
                    add(writer, layer + "conv_state", turned, config.convDim());
                    add(writer, layer + "recurrent_state", recurrent, 1);
                }
                case Engine.State.KeyValues(float[] keys, float[] values) -> {
                    add(writer, layer + "k", keys, 1);
                    add(writer, layer + "v", values, 1);
                }
            }
        }
        writer.write(forward.resolve(file + ".safetensors"));
    }

    private void prompts(String file, Engine engine, ObjectNode listing) throws IOException {
        SafetensorsWriter writer = new SafetensorsWriter();
        ArrayNode entries = listing.putArray("prompts");
        for (int n = 0; n < 2; n++) {
            int[] ids = Arrays.copyOf(PROMPT, 3 + n);
            String prefix = "prompt." + n + ".";
            entries.addObject().put("prompt", n).put("tokens", ids.length);
            float[][] logits;
            try (Engine.Sequence sequence = engine.open(ids.length)) {
                logits = sequence.feed(ids, ForwardObserver.NONE);
            }
            int[] best = new int[10 * ids.length];
            float[] logprobs = new float[best.length];
            for (int t = 0; t < ids.length; t++) {
                System.arraycopy(Logits.top(logits[t], 10), 0, best, 10 * t, 10);
                double total = Logits.logSumExp(logits[t]);
                for (int i = 10 * t; i < 10 * (t + 1); i++) {
                    logprobs[i] = (float) (logits[t][best[i]] - total);
                }
            }
            addInts(writer, prefix + "ids", ids, 1, ids.length);
            add(writer, prefix + "last_logits", logits[ids.length - 1], 1);
            addInts(writer, prefix + "top10_ids", best, ids.length, 10);
            add(writer, prefix + "top10_logprobs", logprobs, ids.length);
        }
        writer.write(forward.resolve(file + ".safetensors"));
        MAPPER.writeValue(forward.resolve(file + ".json").toFile(), listing);
    }

    private static void add(SafetensorsWriter writer, String name, float[] values, int rows) {
        writer.addF32(name, new long[] {rows, values.length / rows}, values);
    }

    private static void addInts(
            SafetensorsWriter writer, String name, int[] values, int rows, int cols) {
        MemorySegment data = MemorySegment.ofArray(new byte[4 * values.length]);
        for (int i = 0; i < values.length; i++) {
            data.set(ValueLayout.JAVA_INT_UNALIGNED, 4L * i, values[i]);
        }
        writer.add(name, DType.I32, new long[] {rows, cols}, data);
    }
}

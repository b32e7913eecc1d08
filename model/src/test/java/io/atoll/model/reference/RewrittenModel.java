package io.atoll.model.reference;

import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.atoll.model.checkpoint.Checkpoint;
import io.atoll.model.checkpoint.SafetensorsWriter;
import io.atoll.model.checkpoint.Tensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import java.util.function.UnaryOperator;

/// Copies of a model with another configuration or other tensors.
final class RewrittenModel {
    private RewrittenModel() {}

    /// Writes a model directory.
    ///
    /// @param config from the source's `config.json` to the target's
    /// @param tensors what becomes of each tensor; an empty list leaves it out
    static void write(
            Path source,
            Path target,
            UnaryOperator<ObjectNode> config,
            Function<Tensor, List<Tensor>> tensors)
            throws IOException {
        JsonMapper mapper = new JsonMapper();
        ObjectNode original =
                (ObjectNode) mapper.readTree(Files.readAllBytes(source.resolve("config.json")));
        mapper.writeValue(target.resolve("config.json").toFile(), config.apply(original));
        try (Checkpoint checkpoint = Checkpoint.open(source)) {
            SafetensorsWriter writer = new SafetensorsWriter();
            for (String name : checkpoint.names()) {
                for (Tensor tensor : tensors.apply(checkpoint.require(name))) {
                    writer.add(tensor.name(), tensor.dtype(), tensor.shape(), tensor.data());
                }
            }
            writer.write(target.resolve("model.safetensors"));
        }
    }

    /// A text-only export: text fields at the top level, `model.` in place of `model.language_model.`, and each expert in three
    /// tensors of its own (model specification A.1 and C.1).
    static void writeTextOnly(Path source, Path target) throws IOException {
        write(
                source,
                target,
                config -> {
                    ObjectNode text = ((ObjectNode) config.get("text_config")).deepCopy();
                    text.putArray("architectures").add("Qwen3_5MoeForCausalLM");
                    text.put("model_type", "qwen3_5_moe_text");
                    return text;
                },
                RewrittenModel::textOnly);
    }

    private static List<Tensor> textOnly(Tensor tensor) {
        String name = tensor.name().replace("model.language_model.", "model.");
        if (name.startsWith("model.visual.")) {
            return List.of();
        }
        if (name.endsWith("experts.gate_up_proj")) {
            String prefix = name.substring(0, name.length() - "gate_up_proj".length());
            List<Tensor> split = new ArrayList<>();
            for (int e = 0; e < tensor.dim(0); e++) {
                Tensor expert = tensor.slice(e);
                long inner = expert.dim(0) / 2;
                split.add(renamed(expert.slices(0, inner), prefix + e + ".gate_proj.weight"));
                split.add(renamed(expert.slices(inner, inner), prefix + e + ".up_proj.weight"));
            }
            return split;
        }
        if (name.endsWith("experts.down_proj")) {
            String prefix = name.substring(0, name.length() - "down_proj".length());
            List<Tensor> split = new ArrayList<>();
            for (int e = 0; e < tensor.dim(0); e++) {
                split.add(renamed(tensor.slice(e), prefix + e + ".down_proj.weight"));
            }
            return split;
        }
        return List.of(renamed(tensor, name));
    }

    private static Tensor renamed(Tensor tensor, String name) {
        return new Tensor(name, tensor.dtype(), tensor.shape(), tensor.data(), tensor.file());
    }
}

package io.atoll.model;

import io.atoll.kernels.Kernels;
import io.atoll.model.checkpoint.Checkpoint;
import io.atoll.model.config.GenerationConfig;
import io.atoll.model.config.ModelConfig;
import io.atoll.model.pack.PackSource;
import io.atoll.model.pack.PackWeights;
import io.atoll.model.quant.WeightStore;
import io.atoll.model.tokenizer.Tokenizer;
import io.atoll.model.vision.VisionTower;
import io.atoll.model.weights.TextWeights;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/// A model as it lies on disk: a directory in the layout of a release (`config.json`, safetensors files, tokenizer and chat
/// template), a GGUF file, which has all of these inside, or a pack of either ([io.atoll.model.pack]).
///
/// Opening it reads only the configuration, so that a coordinator needs no weights of a release on its disk and an expert
/// worker no tokenizer; whatever is missing is reported when it is asked for. (A GGUF file is one thing: it must be whole.)
/// Owns the mapped files: `close()` unmaps them.
public final class ModelDirectory implements AutoCloseable {
    private final Path path;
    private final ModelFiles files;

    private ModelDirectory(Path path, ModelFiles files) {
        this.path = path;
        this.files = files;
    }

    /// Opens a directory, a GGUF file or any part of a split one, and reads its configuration.
    ///
    /// @throws ModelDirectoryException if there is neither a directory nor a file
    /// @throws io.atoll.model.config.ConfigException if the configuration is missing, damaged or of another architecture
    /// @throws io.atoll.model.gguf.GgufException if a file is no GGUF file, damaged, or of another architecture
    /// @throws io.atoll.model.pack.PackException if a pack is damaged or not finished
    public static ModelDirectory open(Path path) {
        if (Files.isDirectory(path) && PackWeights.isPack(path)) {
            return new ModelDirectory(path, new PackFiles(path));
        }
        if (Files.isDirectory(path)) {
            return new ModelDirectory(path, new ReleaseFiles(path));
        }
        if (Files.isRegularFile(path)) {
            return new ModelDirectory(path, new GgufFiles(path));
        }
        throw new ModelDirectoryException(
                path,
                "model",
                Files.exists(path) ? "is neither a directory nor a file" : "is missing");
    }

    /// The directory or file.
    public Path path() {
        return path;
    }

    /// The name by which the model is served unless told otherwise: the directory's, or the file's without `.gguf`.
    public String name() {
        return files.name();
    }

    public ModelConfig config() {
        return files.config();
    }

    public GenerationConfig generationConfig() {
        return files.generationConfig();
    }

    /// The tensors of a release as its files store them; the same object at every call.
    ///
    /// @throws io.atoll.model.checkpoint.CheckpointException if there are none, or their index is damaged
    /// @throws ModelDirectoryException if this is no release
    public Checkpoint checkpoint() {
        return release("safetensors files").checkpoint();
    }

    /// The weights under the names of a release, however they are stored.
    ///
    /// @throws io.atoll.model.config.ModelFileException if there are none, or their index is damaged
    public WeightStore weights() {
        return files.weights();
    }

    /// The text model's weights, checked against the configuration as they are asked for.
    public TextWeights textWeights() {
        return new TextWeights(weights(), config().text());
    }

    /// Packs the weights of the vision tower, if the model has one; the caller closes it. The tower of a GGUF model is in a file of
    /// its own, [io.atoll.model.gguf.GgufProjector]; a pack holds none.
    ///
    /// @throws io.atoll.model.config.ModelFileException if a weight is missing or damaged
    public Optional<VisionTower> visionTower(Kernels kernels) {
        if (!(files instanceof ReleaseFiles)) {
            return Optional.empty();
        }
        return config().vision().map(vision -> new VisionTower(vision, weights()::tensor, kernels));
    }

    /// Path of `tokenizer.json`. To encode and decode, [#tokenizer()] serves every kind of model.
    ///
    /// @throws ModelDirectoryException if it is missing, or this is no release
    public Path tokenizerFile() {
        return release("tokenizer.json").tokenizerFile();
    }

    /// Loads the model's tokenizer; the caller closes it.
    ///
    /// @throws ModelDirectoryException if there is none
    /// @throws io.atoll.model.tokenizer.TokenizerException if it is damaged, or not of this family
    public Tokenizer tokenizer() {
        return files.tokenizer();
    }

    /// Text of the chat template: of a release `chat_template.jinja`, else what `tokenizer_config.json` holds.
    ///
    /// @throws ModelDirectoryException if there is neither
    public String chatTemplate() {
        return files.chatTemplate();
    }

    /// Identifies the text model, so that nodes can refuse to work with one that holds another: SHA-256, in hex,
    /// over the text configuration and, for every text tensor in the order of names, its name, type, shape and
    /// three samples of its bytes.
    ///
    /// It does not depend on how tensors are spread over files, and it reads a few pages of each tensor only, so it
    /// is cheap on a model of any size. A release and a GGUF file made from it have different digests, also where no
    /// weight was rounded. It authenticates nothing: whoever can write the files can change weights without changing the digest.
    ///
    /// @throws io.atoll.model.config.ModelFileException if a weight file is missing or damaged
    public String modelDigest() {
        return files.digest();
    }

    /// This model as something to be packed.
    ///
    /// @throws io.atoll.model.config.ModelFileException if a small file cannot be read, or this is a pack already
    public PackSource packSource() {
        pack().ifPresent(
                        pack -> {
                            throw new ModelDirectoryException(
                                    path,
                                    "model",
                                    "is a pack already, of the model " + pack.modelDigest());
                        });
        return new PackSource(name(), textWeights(), this::modelDigest, files.texts());
    }

    /// The pack, if this is one.
    public Optional<PackWeights> pack() {
        return files instanceof PackFiles pack ? Optional.of(pack.weights()) : Optional.empty();
    }

    @Override
    public void close() {
        files.close();
    }

    private ReleaseFiles release(String wanted) {
        if (files instanceof ReleaseFiles release) {
            return release;
        }
        throw new ModelDirectoryException(
                path, wanted, "only a release's directory has it; this is a GGUF file or a pack");
    }
}

/// GGUF files, as llama.cpp and its relatives use them: [io.atoll.model.gguf.GgufFile] maps one file or all parts of a split
/// one and checks its header, [io.atoll.model.gguf.GgufMetadata] gives typed access to its keys, and
/// [io.atoll.model.gguf.GgufModel] makes of a `qwen35moe` file what the rest of the program knows: a configuration, and
/// weights under the names and in the order of a release, the converter's transformations undone.
/// [io.atoll.model.gguf.GgufProjector] does the same for the vision tower in a file beside it. Headers are untrusted:
/// every count, length and offset is checked before it is used. Knows nothing of packing. Start with
/// [io.atoll.model.gguf.GgufModel].
package io.atoll.model.gguf;

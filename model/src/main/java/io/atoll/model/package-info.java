/// A model as it lies on disk, opened and checked: [io.atoll.model.ModelDirectory] brings together the configuration, the
/// weights, the tokenizer and the chat template of a release's directory or a GGUF file, and gives the digest by which nodes
/// recognise that they hold the same model. The packages below own one kind of file each, and none of them knows of workers,
/// networks or requests. Read [io.atoll.model.config] next, then [io.atoll.model.checkpoint], [io.atoll.model.weights] and
/// [io.atoll.model.tokenizer].
package io.atoll.model;

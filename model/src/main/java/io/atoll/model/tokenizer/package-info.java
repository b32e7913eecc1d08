/// Text to token ids and back: [io.atoll.model.tokenizer.Tokenizer] for whole texts,
/// [io.atoll.model.tokenizer.StreamDecoder] for answers that arrive token by token, and
/// [io.atoll.model.tokenizer.GgufVocabulary] for vocabularies that come inside a GGUF file. Knows nothing of chat
/// formats: read `io.atoll.model.chat` next. Start with [io.atoll.model.tokenizer.Tokenizer].
package io.atoll.model.tokenizer;

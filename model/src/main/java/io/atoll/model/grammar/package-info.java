/// Text that an answer must have the form of: a JSON Schema, a regular expression or a context-free grammar, turned into the set of
/// tokens that may come next. Knows the bytes of tokens and nothing of sampling, requests or networks.
///
/// [io.atoll.model.grammar.Constraint] is what a request asks for. [io.atoll.model.grammar.SchemaCompiler],
/// [io.atoll.model.grammar.RegexParser] and [io.atoll.model.grammar.GrammarParser] read it into one
/// [io.atoll.model.grammar.Grammar]; [io.atoll.model.grammar.NetworkBuilder] lowers that to bytes;
/// [io.atoll.model.grammar.Automaton] recognises it byte by byte, building its states as they are met; and
/// [io.atoll.model.grammar.MaskWalk] runs a state over the [io.atoll.model.grammar.TokenTrie] of the vocabulary. Start with
/// [io.atoll.model.grammar.TokenConstraint] and [io.atoll.model.grammar.TokenMatcher].
package io.atoll.model.grammar;

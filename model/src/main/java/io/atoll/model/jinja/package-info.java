/// A small Jinja interpreter: the part of the template language that chat templates use, with the meaning Python gives it.
///
/// Owns the way from template text to rendered text: [Lexer] cuts it into tokens, [Parser] builds the [Stmt] and [Expr]
/// trees, and [Interpreter] walks them over the values that [Python] knows how to spell, compare and iterate. Strings count
/// code points, `true` prints `True`, and a name that is not there is an [Undefined], because templates are written and tested
/// against Jinja2 and must render to the same bytes here. Everything a template can make the interpreter do is counted by
/// [Budget], so a hostile template or request ends with a [TemplateException].
///
/// Knows nothing of messages, roles or models; `io.atoll.model.chat` brings those. Read [Template] next.
package io.atoll.model.jinja;

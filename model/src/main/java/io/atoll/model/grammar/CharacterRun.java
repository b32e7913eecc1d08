package io.atoll.model.grammar;

import java.util.List;
import java.util.Optional;

/// Kinds of text that constraints rarely tell apart inside, each wider than the one before it.
///
/// @param number position in [#ALL]
/// @param characters what it is made of
record CharacterRun(int number, CodePoints characters) {
    /// ASCII letters, digits and spaces.
    private static final CodePoints WORDS =
            CodePoints.range('a', 'z')
                    .union(CodePoints.range('A', 'Z'))
                    .union(CodePoints.range('0', '9'))
                    .union(CodePoints.of(' '));

    /// And all characters beyond ASCII.
    private static final CodePoints TEXT = WORDS.union(CodePoints.range(0x80, 0x10FFFF));

    /// And ASCII punctuation that JSON strings do not escape.
    private static final CodePoints PROSE =
            TEXT.union(CodePoints.range(' ', '~').minus(CodePoints.of("\"\\")));

    static final List<CharacterRun> ALL =
            List.of(
                    new CharacterRun(0, WORDS),
                    new CharacterRun(1, TEXT),
                    new CharacterRun(2, PROSE));

    /// The narrowest kind that all characters of the text belong to.
    static Optional<CharacterRun> of(String text) {
        return ALL.stream()
                .filter(run -> text.codePoints().allMatch(run.characters::contains))
                .findFirst();
    }
}

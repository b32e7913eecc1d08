package io.atoll.model.grammar;

import java.util.Optional;

/// Kinds of text that constraints rarely tell apart inside, each wider than the one before it.
enum CharacterRun {
    /// ASCII letters, digits and spaces.
    WORDS(
            CodePoints.range('a', 'z')
                    .union(CodePoints.range('A', 'Z'))
                    .union(CodePoints.range('0', '9'))
                    .union(CodePoints.of(' '))),

    /// And all characters beyond ASCII.
    TEXT(WORDS.characters.union(CodePoints.range(0x80, 0x10FFFF))),

    /// And ASCII punctuation that JSON strings do not escape.
    PROSE(TEXT.characters.union(CodePoints.range(' ', '~').minus(CodePoints.of("\"\\"))));

    private final CodePoints characters;

    CharacterRun(CodePoints characters) {
        this.characters = characters;
    }

    CodePoints characters() {
        return characters;
    }

    /// The narrowest kind that all characters of the text belong to.
    static Optional<CharacterRun> of(String text) {
        for (CharacterRun run : values()) {
            if (text.codePoints().allMatch(run.characters::contains)) {
                return Optional.of(run);
            }
        }
        return Optional.empty();
    }
}

package io.atoll.benchmarks.grammar;

import io.atoll.model.grammar.Constraint;
import java.util.List;

/// Constraints as requests bring them, each with texts that satisfy it.
///
/// @param texts the first is the one that finds nothing remembered
record Documents(String name, Constraint constraint, List<String> texts) {
    private static final String TOOL_CALL =
            """
            {"type":"object","properties":{"location":{"type":"string","description":"City"},
             "unit":{"type":"string","enum":["celsius","fahrenheit"]},"days":{"type":"integer","minimum":1,"maximum":14}},
             "required":["location","unit","days"],"additionalProperties":false}\
            """;

    private static final String RECORD =
            """
            {"type":"object","properties":{"id":{"type":"string","format":"uuid"},"title":{"type":"string"},
             "created":{"type":"string","format":"date-time"},"author":{"$ref":"#/$defs/person"},
             "reviewers":{"type":"array","items":{"$ref":"#/$defs/person"}},
             "status":{"type":"string","enum":["open","in review","closed"]},"score":{"type":["number","null"]},
             "tags":{"type":"array","items":{"type":"string"},"maxItems":10},
             "steps":{"type":"array","items":{"type":"object","properties":{"explanation":{"type":"string"},
               "output":{"anyOf":[{"type":"string"},{"type":"number"},{"type":"boolean"}]}},
               "required":["explanation","output"],"additionalProperties":false}}},
             "required":["id","title","created","author","reviewers","status","score","tags","steps"],
             "additionalProperties":false,
             "$defs":{"person":{"type":"object","properties":{"name":{"type":"string"},"email":{"type":"string","format":"email"},
               "age":{"type":["integer","null"]}},"required":["name","email","age"],"additionalProperties":false}}}\
            """;

    private static final String TREE =
            """
            {"$ref":"#/$defs/node","$defs":{"node":{"type":"object","properties":{"label":{"type":"string"},
             "children":{"type":"array","items":{"$ref":"#/$defs/node"}}},"required":["label","children"],
             "additionalProperties":false}}}\
            """;

    private static final String BOUNDED =
            """
            {"type":"object","properties":{"summary":{"type":"string","minLength":10,"maxLength":400},
             "sku":{"type":"string","pattern":"^[A-Z]{2,4}-[0-9]{4,8}$"}},"required":["summary","sku"],
             "additionalProperties":false}\
            """;

    private static final String ARITHMETIC =
            """
            root ::= sum "\\n"
            sum ::= product (space [+-] space product)*
            product ::= factor (space [*/] space factor)*
            factor ::= number | name | "(" sum ")"
            number ::= [0-9]+ ("." [0-9]+)?
            name ::= [a-z] [a-z0-9_]*
            space ::= " "?
            """;

    static List<Documents> all() {
        String prose =
                "The harbour was quiet when the ferry left; \\\"nobody\\\" had expected it — not at"
                    + " 5 °C, and not so early. Später kamen die Möwen, 東京 was far away, and the"
                    + " letter said: come home.";
        return List.of(
                new Documents(
                        "tool call, 3 fields",
                        new Constraint.JsonSchema(TOOL_CALL),
                        List.of(
                                "{\"location\": \"Reykjavík, Iceland\", \"unit\": \"celsius\","
                                        + " \"days\": 5}",
                                "{\"location\":\"New York\",\"unit\":\"fahrenheit\",\"days\":12}")),
                new Documents(
                        "record, 9 fields, nested",
                        new Constraint.JsonSchema(RECORD),
                        List.of(entry("4f0c", prose, 3), entry("9a7e", "Short.", 7))),
                new Documents(
                        "recursive tree",
                        new Constraint.JsonSchema(TREE),
                        List.of(tree(4), tree(6))),
                new Documents(
                        "bounded string, pattern",
                        new Constraint.JsonSchema(BOUNDED),
                        List.of(
                                "{\"summary\": \"" + prose + "\", \"sku\": \"ABC-12345\"}",
                                "{\"summary\": \"A plain sentence.\", \"sku\": \"XY-0001\"}")),
                new Documents(
                        "any JSON object",
                        new Constraint.JsonObject(),
                        List.of(entry("4f0c", prose, 3), tree(5))),
                new Documents(
                        "regular expression",
                        new Constraint.Regex("(Yes|No|Maybe), because [^.\\n]{10,200}\\."),
                        List.of(
                                "Yes, because the tests that failed yesterday pass today on both"
                                        + " machines.",
                                "No, because nothing was measured.")),
                new Documents(
                        "arithmetic grammar",
                        new Constraint.ContextFree(ARITHMETIC),
                        List.of(
                                "(alpha + 3.14) * (beta_2 - 7 / (x + y)) + 12\n",
                                "a+b*(c-d)/e\n")));
    }

    private static String entry(String id, String prose, int steps) {
        StringBuilder text = new StringBuilder();
        text.append("{\"id\": \"123e4567-e89b-12d3-a456-42661417").append(id);
        text.append("\", \"title\": \"").append(prose).append("\", ");
        text.append("\"created\": \"2026-11-26T10:30:00Z\", \"author\": ").append(person("Ada"));
        text.append(", \"reviewers\": [").append(person("Grace")).append(", ");
        text.append(person("Łukasz")).append("], \"status\": \"in review\", \"score\": 8.5, ");
        text.append("\"tags\": [\"alpha\", \"beta\"], \"steps\": [");
        for (int i = 0; i < steps; i++) {
            text.append(i == 0 ? "" : ", ").append("{\"explanation\": \"").append(prose);
            text.append("\", \"output\": ")
                    .append(i % 2 == 0 ? "\"x = 4\"" : "-1.25e3")
                    .append('}');
        }
        return text.append("]}").toString();
    }

    private static String person(String name) {
        return "{\"name\": \"%s\", \"email\": \"%s@mail.example\", \"age\": 41}"
                .formatted(name, name.equals("Łukasz") ? "l.k" : name);
    }

    private static String tree(int depth) {
        String children = depth == 0 ? "" : tree(depth - 1) + ", " + tree(0);
        return "{\"label\": \"level %d of it\", \"children\": [%s]}".formatted(depth, children);
    }
}

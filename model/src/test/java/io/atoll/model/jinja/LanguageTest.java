package io.atoll.model.jinja;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/// The language, case by case. What each template of `language.json` renders to, raises, or fails with was computed with
/// Jinja2 3.1.6 under the settings of Hugging Face's chat templates.
class LanguageTest {
    private static final Clock CLOCK =
            Clock.fixed(Instant.parse("2024-07-05T03:04:05Z"), ZoneOffset.UTC);

    @TestFactory
    List<DynamicTest> everyTemplateDoesWhatJinja2Does() throws IOException {
        JsonNode table;
        try (InputStream in = LanguageTest.class.getResourceAsStream("language.json")) {
            table = new ObjectMapper().readTree(in);
        }
        Map<String, Object> variables = new LinkedHashMap<>();
        table.get("variables")
                .properties()
                .forEach(field -> variables.put(field.getKey(), field.getValue()));
        List<DynamicTest> tests = new ArrayList<>();
        for (JsonNode row : table.get("cases")) {
            String template = row.get("template").textValue();
            tests.add(
                    dynamicTest(
                            template.replace('\n', ' '), () -> check(row, template, variables)));
        }
        return tests;
    }

    private static void check(JsonNode row, String template, Map<String, Object> variables) {
        if (row.has("text")) {
            assertEquals(row.get("text").textValue(), render(template, variables));
            return;
        }
        TemplateException failure =
                assertThrows(TemplateException.class, () -> render(template, variables));
        if (row.has("raised")) {
            assertEquals(TemplateException.Kind.TEMPLATE, failure.kind());
            assertEquals(row.get("raised").textValue(), failure.getMessage());
        } else {
            assertEquals(TemplateException.Kind.ENGINE, failure.kind());
        }
    }

    private static String render(String template, Map<String, Object> variables) {
        return Template.compile(template).render(variables, CLOCK, TemplateLimits.DEFAULT);
    }
}

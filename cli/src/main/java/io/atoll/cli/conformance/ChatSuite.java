package io.atoll.cli.conformance;

import io.atoll.model.ModelDirectory;
import io.atoll.model.chat.ChatTemplate;
import io.atoll.model.jinja.TemplateException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;

/// `chat/`: conversations and the prompts they become under each template of the set, or the reason why they become none.
final class ChatSuite implements Suite {
    private static final String CHAT = "chat";

    @Override
    public String name() {
        return CHAT;
    }

    @Override
    public void run(FixtureSet fixtures, Engine.Opener engines, Checks checks) {
        List<GoldenJson> cases =
                GoldenJson.read(fixtures.file(CHAT, "chat.json")).get("cases").items();
        Map<String, Supplier<String>> templates = new LinkedHashMap<>();
        templates.put("demo", () -> modelTemplate(fixtures));
        templates.put("qwen35", () -> releaseTemplate(fixtures));
        templates.forEach(
                (name, source) -> {
                    if (cases.stream().anyMatch(c -> c.optional(name).isPresent())) {
                        render(name, source, cases, checks);
                    }
                });
    }

    private static String modelTemplate(FixtureSet fixtures) {
        try (ModelDirectory model = ModelDirectory.open(fixtures.model())) {
            return model.chatTemplate();
        }
    }

    private static String releaseTemplate(FixtureSet fixtures) {
        Path file = fixtures.shared("chat/qwen35_chat_template.jinja");
        try {
            return Files.readString(file);
        } catch (IOException e) {
            throw new FixtureException(file, "cannot be read: " + e, e);
        }
    }

    private static void render(
            String name, Supplier<String> source, List<GoldenJson> cases, Checks checks) {
        ChatTemplate template;
        try {
            template = ChatTemplate.compile(source.get());
        } catch (FixtureException | TemplateException e) {
            checks.fail(name + " template", e.getMessage()); // the other template is still compared
            return;
        }
        for (GoldenJson conversation : cases) {
            conversation
                    .optional(name)
                    .ifPresent(expected -> render(name, template, conversation, expected, checks));
        }
    }

    private static void render(
            String name,
            ChatTemplate template,
            GoldenJson conversation,
            GoldenJson expected,
            Checks checks) {
        String where = "case " + conversation.get("id").integer() + " " + name;
        String rendered;
        try {
            rendered =
                    template.render(
                            conversation.get("messages").maps(),
                            conversation.optional("tools").map(GoldenJson::maps),
                            conversation.optional("options").map(GoldenJson::map).orElse(Map.of()));
        } catch (TemplateException e) {
            refused(where, e, expected, checks);
            return;
        }
        if (expected.optional("text").isPresent()) {
            checks.text(where, expected.get("text").text(), rendered);
        } else {
            checks.fail(
                    where,
                    "expected the refusal \""
                            + expected.get("error").text()
                            + "\", found a prompt");
        }
    }

    private static void refused(
            String where, TemplateException refusal, GoldenJson expected, Checks checks) {
        if (expected.optional("error").isEmpty()) {
            checks.fail(
                    where,
                    "expected a prompt, found "
                            + refusal.kind()
                            + " refusal: "
                            + refusal.getMessage());
            return;
        }
        switch (expected.get("raised_by").text()) {
            case "template" -> {
                checks.equal(
                        where + " refused by", TemplateException.Kind.TEMPLATE, refusal.kind());
                checks.text(where + " refusal", expected.get("error").text(), refusal.getMessage());
            }
            // Renderers word this in their own ways: only the failure matters.
            case "engine" -> checks.equal(where + " refused", true, true);
            default -> checks.fail(where, "unknown raised_by " + expected.get("raised_by").text());
        }
    }
}

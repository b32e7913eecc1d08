package io.atoll.model.chat;

import io.atoll.model.jinja.Template;
import io.atoll.model.jinja.TemplateException;
import io.atoll.model.jinja.TemplateLimits;
import java.time.Clock;
import java.time.ZoneId;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/// The template that turns a conversation into a model's prompt, compiled once. Any number of threads may render it.
///
/// Messages and tools go to the template as they are: what a role means, which parts a content may have and whether a
/// conversation may be empty is the template's business. Two things it does not do for its caller: a tool call's `arguments`
/// must be a map already (APIs carry them as JSON text), and a field that a request left out must be missing rather than
/// null where the template tells the two apart.
public final class ChatTemplate {
    private static final Set<String> OWN_VARIABLES = Set.of("messages", "tools");

    private final Template template;
    private final Map<String, Object> specialTokens;
    private final Clock clock;
    private final TemplateLimits limits;

    private ChatTemplate(
            Template template,
            Map<String, Object> specialTokens,
            Clock clock,
            TemplateLimits limits) {
        this.template = template;
        this.specialTokens = specialTokens;
        this.clock = clock;
        this.limits = limits;
    }

    /// Compiles a template that needs no special tokens and may look at the system's clock.
    ///
    /// @throws TemplateException with the line of a syntax error
    public static ChatTemplate compile(String source) {
        return compile(
                source, Map.of(), Clock.system(ZoneId.systemDefault()), TemplateLimits.DEFAULT);
    }

    /// Compiles a template.
    ///
    /// @param specialTokens variables such as `bos_token` and `eos_token`, which templates of other families use
    /// @param clock what a template that writes the date reads
    /// @param limits what one rendering may use
    /// @throws TemplateException with the line of a syntax error
    public static ChatTemplate compile(
            String source, Map<String, String> specialTokens, Clock clock, TemplateLimits limits) {
        return new ChatTemplate(Template.compile(source), Map.copyOf(specialTokens), clock, limits);
    }

    /// The prompt for a conversation.
    ///
    /// All values are plain: strings, booleans, numbers, null, lists and maps (whose order is kept), or Jackson's `JsonNode`.
    ///
    /// @param messages the conversation, oldest first
    /// @param tools the tools' definitions; empty if the request has no such field, which a template may tell from an empty
    ///     list
    /// @param options further template variables such as `enable_thinking`; `add_generation_prompt` is true unless given
    /// @throws TemplateException of kind `TEMPLATE` with the template's own words if it refuses the conversation, of kind
    ///     `ENGINE` if it cannot handle it
    public String render(
            List<? extends Map<String, ?>> messages,
            Optional<? extends List<? extends Map<String, ?>>> tools,
            Map<String, ?> options) {
        Map<String, Object> variables = new HashMap<>(specialTokens);
        variables.put("add_generation_prompt", true);
        variables.put("documents", Optional.empty());
        for (Map.Entry<String, ?> option : options.entrySet()) {
            if (OWN_VARIABLES.contains(option.getKey())) {
                throw TemplateException.badVariables(
                        "'" + option.getKey() + "' cannot be a template option");
            }
            variables.put(option.getKey(), option.getValue());
        }
        variables.put("messages", messages);
        variables.put("tools", tools);
        return template.render(variables, clock, limits);
    }
}

package io.atoll.model.jinja;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Clock;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TemplateTest {
    private static String render(String template, Map<String, ?> variables) {
        return Template.compile(template)
                .render(variables, Clock.systemUTC(), TemplateLimits.DEFAULT);
    }

    private static TemplateException failure(String template, Map<String, ?> variables) {
        return assertThrows(TemplateException.class, () -> render(template, variables));
    }

    @Test
    void syntaxErrorsNameTheirLine() {
        TemplateException failure =
                assertThrows(TemplateException.class, () -> Template.compile("a\nb\n{{ 1 + }}\n"));
        assertEquals(TemplateException.Kind.ENGINE, failure.kind());
        assertEquals(3, failure.line());
    }

    @Test
    void failuresNameTheirLine() {
        TemplateException failure =
                failure("a\n{% if true %}\n\n{{ 1 + none }}\n{% endif %}", Map.of());
        assertEquals(4, failure.line());
        assertEquals(
                "TypeError: unsupported operand type(s) for +: 'int' and 'NoneType' (template line"
                        + " 4)",
                failure.getMessage());
    }

    @Test
    void raisedMessagesAreTheTemplatesOwnWords() {
        TemplateException failure =
                failure("\n{{ raise_exception('No ' ~ what) }}", Map.of("what", "users"));
        assertEquals(TemplateException.Kind.TEMPLATE, failure.kind());
        assertEquals("No users", failure.getMessage());
        assertEquals(2, failure.line());
    }

    @Test
    void itemsOfTextIsRefusedInPythonsWords() {
        TemplateException failure =
                failure("{% for k, v in x|items %}{% endfor %}", Map.of("x", "{}"));
        assertEquals(
                "TypeError: Can only get item pairs from a mapping. (template line 1)",
                failure.getMessage());
    }

    @Test
    void theSandboxHidesWhatChangesValues() {
        TemplateException failure = failure("{{ x.append(1) }}", Map.of("x", List.of()));
        assertEquals(
                "SecurityError: access to attribute 'append' of 'list' object is unsafe. (template"
                        + " line 1)",
                failure.getMessage());
    }

    @Test
    void variablesMayBeAnyPlainValue() {
        assertEquals(
                "[1, 2, 3.0, 4.5, None, True, 'x', None, [1]]",
                render(
                        "{{ x }}",
                        Map.of(
                                "x",
                                java.util.Arrays.asList(
                                        1,
                                        2L,
                                        3f,
                                        4.5,
                                        null,
                                        true,
                                        Optional.of("x"),
                                        Optional.empty(),
                                        java.util.Set.of(1)))));
    }

    @Test
    void objectsThatAreNoValuesAreTheCallersMistake() {
        assertThrows(
                IllegalArgumentException.class, () -> render("{{ x }}", Map.of("x", new Object())));
    }

    /// Each would run for ever, or take all memory, without a limit.
    @Timeout(60)
    @ParameterizedTest
    @ValueSource(
            strings = {
                "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
                "{% for i in range(100000) %}{% for j in range(100000) if false %}{% endfor %}{%"
                        + " endfor %}",
                "{% for i in range(100000) %}{{ 'a' * 10000 }}{% endfor %}",
                "{{ range(100000000) }}",
                "{{ 'a' * 10000000000 }}",
                "{{ [1] * 10000000000 }}",
                "{{ 'a'.center(2000000000) }}",
                "{{ '%2000000000d' % 1 }}",
                "{{ '{:>2000000000}'.format(1) }}",
                "{{ '%.2000000000f' % 1.5 }}",
                "{{ 'a\na'|indent(2000000000) }}",
                "{{ 'a'.zfill(2000000000) }}",
                "{{ 10 ** 1000000 }}",
                "{{ ('a' * 1000000)|replace('', 'b' * 1000000) }}",
                "{{ ('a' * 1000000).replace('a', 'b' * 1000000) }}",
                "{{ (['a'] * 1000000)|join('b' * 1000000) }}",
                "{{ [1]|batch(2000000000, 1)|list }}",
                "{% set ns = namespace(x='a') %}{% for i in range(100) %}{% set ns.x = ns.x ~ ns.x"
                        + " %}{% endfor %}",
                "{% set ns = namespace(x=[1]) %}{% for i in range(100) %}{% set ns.x = [ns.x, ns.x]"
                        + " %}{% endfor %}{{ ns.x }}",
                "{% set ns = namespace(x=[1]) %}{% for i in range(100) %}{% set ns.x = [ns.x, ns.x]"
                        + " %}{% endfor %}{{ ns.x|tojson }}",
                "{% set ns = namespace(x=[1], y=[1]) %}{% for i in range(100) %}{% set ns.x ="
                    + " [ns.x, ns.x] %}{% set ns.y = [ns.y, ns.y] %}{% endfor %}{{ ns.x == ns.y }}",
                "{% set ns = namespace(x=[]) %}{% for i in range(5000) %}{% set ns.x = [ns.x] %}{%"
                        + " endfor %}{{ ns.x }}",
                "{% set ns = namespace(x=[]) %}{% for i in range(5000) %}{% set ns.x = [ns.x] %}{%"
                        + " endfor %}{{ ns.x|tojson }}",
                "{% set ns = namespace(x=()) %}{% for i in range(50000) %}{% set ns.x = (ns.x,)"
                        + " %}{% endfor %}{{ {ns.x: 1} }}",
                "{% set ns = namespace(x=[1]) %}{% for i in range(50000) %}{% set ns.x ="
                        + " ns.x|map('string') %}{% endfor %}{{ ns.x|list }}",
                "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
                "{% macro m(a=m()) %}{% endmacro %}{{ m() }}",
                "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
                "{{ ('a' * 1000000) in ('a' * 999999 ~ 'b' ~ 'a' * 999999 ~ 'b' ~ 'a' * 5000000) }}"
            })
    void hostileTemplatesEndWithATypedError(String template) {
        TemplateException failure = failure(template, Map.of());
        assertEquals(TemplateException.Kind.ENGINE, failure.kind());
        assertTrue(failure.getMessage().startsWith("LimitExceeded: "), failure.getMessage());
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"(", "[", "{1:", "-", "not ", "x[", "x(", "1 if 1 else ", "1 + (", "x|f("})
    void deeplyNestedSyntaxIsRefusedAtCompileTime(String opener) {
        TemplateException failure =
                assertThrows(
                        TemplateException.class,
                        () -> Template.compile("{{ " + opener.repeat(100_000) + "1 }}"));
        assertTrue(failure.getMessage().contains("nested deeper than"), failure.getMessage());
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                " + 1", " * 1", " ** 1", " or 0", " and 1", ".a", "[0]", "()", "|e", " if 1"
            })
    void longChainsAreRefusedAtCompileTime(String link) {
        TemplateException failure =
                assertThrows(
                        TemplateException.class,
                        () -> Template.compile("{{ x" + link.repeat(100_000) + " }}"));
        assertTrue(failure.getMessage().contains("nested deeper than"), failure.getMessage());
    }

    @Test
    void deeplyNestedBlocksAreRefusedAtCompileTime() {
        TemplateException failure =
                assertThrows(
                        TemplateException.class,
                        () -> Template.compile("{% if 1 %}".repeat(100_000)));
        assertTrue(failure.getMessage().contains("nested deeper than"), failure.getMessage());
    }

    @Test
    void deeplyNestedVariablesAreRefused() {
        List<Object> nested = List.of();
        for (int i = 0; i < 100_000; i++) {
            List<Object> outer = new ArrayList<>();
            outer.add(nested);
            nested = outer;
        }
        TemplateException failure = failure("{{ x }}", Map.of("x", nested));
        assertEquals(TemplateException.Kind.ENGINE, failure.kind());
    }

    /// The depth limit comes before the stack's end even in a thread with a quarter of the usual stack.
    @Test
    void theDepthLimitFitsASmallStack() throws InterruptedException {
        AtomicReference<TemplateException> failure = new AtomicReference<>();
        Thread thread =
                new Thread(
                        null,
                        () ->
                                failure.set(
                                        failure(
                                                "{% macro m() %}{{ [m()] }}{% endmacro %}{{ m() }}",
                                                Map.of())),
                        "small stack",
                        256 << 10);
        thread.start();
        thread.join();
        assertTrue(
                failure.get().getMessage().contains("nested deeper than 600 levels"),
                failure.get().getMessage());
    }

    @Test
    void outputIsBounded() {
        TemplateLimits limits = new TemplateLimits(10, 1000, 1000, 10);
        Template template = Template.compile("{{ x }}");
        assertEquals(
                "0123456789",
                template.render(Map.of("x", "0123456789"), Clock.systemUTC(), limits));
        assertThrows(
                TemplateException.class,
                () -> template.render(Map.of("x", "0123456789a"), Clock.systemUTC(), limits));
    }
}

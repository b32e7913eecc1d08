package io.atoll.attention.step;

import io.atoll.model.grammar.Constraint;
import io.atoll.proto.v1.CallableTool;
import io.atoll.proto.v1.Reasoning;
import io.atoll.proto.v1.ToolCalls;
import java.util.Optional;

/// Between [OutputConstraint] and its message in `attention.proto`.
final class ConstraintMessages {
    private ConstraintMessages() {}

    static io.atoll.proto.v1.OutputConstraint message(OutputConstraint constraint) {
        io.atoll.proto.v1.OutputConstraint.Builder message =
                io.atoll.proto.v1.OutputConstraint.newBuilder();
        constraint
                .reasoning()
                .ifPresent(
                        reasoning ->
                                message.setReasoning(
                                        Reasoning.newBuilder()
                                                .setEnd(reasoning.end())
                                                .setBudget(reasoning.budget())
                                                .addAllClosing(reasoning.closing())
                                                .addAllLead(reasoning.lead())));
        constraint.text().ifPresent(text -> set(message, text));
        return message.build();
    }

    private static void set(
            io.atoll.proto.v1.OutputConstraint.Builder message, Constraint constraint) {
        switch (constraint) {
            case Constraint.JsonSchema(String schema) -> message.setJsonSchema(schema);
            case Constraint.JsonObject() -> message.setJsonObject(true);
            case Constraint.Regex(String pattern) -> message.setRegex(pattern);
            case Constraint.ContextFree(String grammar) -> message.setGrammar(grammar);
            case Constraint.ToolCalls calls -> message.setToolCalls(message(calls));
            case Constraint.TextOrCalls(Constraint text, Constraint.ToolCalls calls) -> {
                set(message, text);
                message.setOrCalls(message(calls));
            }
        }
    }

    private static ToolCalls message(Constraint.ToolCalls calls) {
        ToolCalls.Builder message = ToolCalls.newBuilder().setSeveral(calls.several());
        for (Constraint.Tool tool : calls.tools()) {
            message.addTools(
                    CallableTool.newBuilder()
                            .setName(tool.name())
                            .setWhere(tool.where())
                            .setParameters(tool.parameters()));
        }
        return message.build();
    }

    /// @throws IllegalArgumentException if the message constrains nothing, or itself wrongly
    static OutputConstraint constraint(io.atoll.proto.v1.OutputConstraint message) {
        Reasoning reasoning = message.getReasoning();
        return new OutputConstraint(
                message.hasReasoning()
                        ? Optional.of(
                                new OutputConstraint.Reasoning(
                                        reasoning.getEnd(),
                                        reasoning.getBudget(),
                                        reasoning.getClosingList(),
                                        reasoning.getLeadList()))
                        : Optional.empty(),
                text(message).map(text -> orCalls(text, message)));
    }

    private static Constraint orCalls(Constraint text, io.atoll.proto.v1.OutputConstraint message) {
        return message.hasOrCalls()
                ? new Constraint.TextOrCalls(text, calls(message.getOrCalls()))
                : text;
    }

    private static Optional<Constraint> text(io.atoll.proto.v1.OutputConstraint message) {
        return switch (message.getTextCase()) {
            case JSON_SCHEMA -> Optional.of(new Constraint.JsonSchema(message.getJsonSchema()));
            case JSON_OBJECT -> Optional.of(new Constraint.JsonObject());
            case REGEX -> Optional.of(new Constraint.Regex(message.getRegex()));
            case GRAMMAR -> Optional.of(new Constraint.ContextFree(message.getGrammar()));
            case TOOL_CALLS -> Optional.of(calls(message.getToolCalls()));
            case TEXT_NOT_SET -> Optional.empty();
        };
    }

    private static Constraint.ToolCalls calls(ToolCalls message) {
        return new Constraint.ToolCalls(
                message.getToolsList().stream()
                        .map(
                                tool ->
                                        new Constraint.Tool(
                                                tool.getName(),
                                                tool.getWhere(),
                                                tool.getParameters()))
                        .toList(),
                message.getSeveral());
    }
}

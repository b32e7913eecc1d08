package io.atoll.attention.step;

import io.atoll.model.grammar.Constraint;
import io.atoll.proto.v1.CallableTool;
import io.atoll.proto.v1.ToolCalls;
import java.util.OptionalInt;

/// Between [OutputConstraint] and its message in `attention.proto`.
final class ConstraintMessages {
    private ConstraintMessages() {}

    static io.atoll.proto.v1.OutputConstraint message(OutputConstraint constraint) {
        io.atoll.proto.v1.OutputConstraint.Builder message =
                io.atoll.proto.v1.OutputConstraint.newBuilder().addAllLead(constraint.lead());
        constraint.after().ifPresent(message::setAfter);
        switch (constraint.constraint()) {
            case Constraint.JsonSchema(String schema) -> message.setJsonSchema(schema);
            case Constraint.JsonObject() -> message.setJsonObject(true);
            case Constraint.Regex(String pattern) -> message.setRegex(pattern);
            case Constraint.ContextFree(String grammar) -> message.setGrammar(grammar);
            case Constraint.ToolCalls calls -> message.setToolCalls(message(calls));
        }
        return message.build();
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

    /// @throws IllegalArgumentException if the message does not say what kind of constraint it is
    static OutputConstraint constraint(io.atoll.proto.v1.OutputConstraint message) {
        Constraint constraint =
                switch (message.getTextCase()) {
                    case JSON_SCHEMA -> new Constraint.JsonSchema(message.getJsonSchema());
                    case JSON_OBJECT -> new Constraint.JsonObject();
                    case REGEX -> new Constraint.Regex(message.getRegex());
                    case GRAMMAR -> new Constraint.ContextFree(message.getGrammar());
                    case TOOL_CALLS ->
                            new Constraint.ToolCalls(
                                    message.getToolCalls().getToolsList().stream()
                                            .map(
                                                    tool ->
                                                            new Constraint.Tool(
                                                                    tool.getName(),
                                                                    tool.getWhere(),
                                                                    tool.getParameters()))
                                            .toList(),
                                    message.getToolCalls().getSeveral());
                    case TEXT_NOT_SET ->
                            throw new IllegalArgumentException("a constraint of no known kind");
                };
        return new OutputConstraint(
                constraint,
                message.hasAfter() ? OptionalInt.of(message.getAfter()) : OptionalInt.empty(),
                message.getLeadList());
    }
}

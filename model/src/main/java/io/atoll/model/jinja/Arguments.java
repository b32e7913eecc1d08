package io.atoll.model.jinja;

import java.util.List;
import java.util.Map;

/// The arguments of one call: positional ones, then keyword ones in the order written.
record Arguments(String callee, List<Object> positional, Map<String, Object> keywords) {
    /// The values of the parameters `names`, in that order; null where one was not given.
    @SuppressWarnings("AvoidObjectArrays") // callers unpack it at once
    Object[] bind(String... names) {
        if (positional.size() > names.length) {
            throw PythonException.typeError(
                    callee
                            + "() takes at most "
                            + names.length
                            + " arguments ("
                            + positional.size()
                            + " given)");
        }
        Object[] bound = new Object[names.length];
        for (int i = 0; i < positional.size(); i++) {
            bound[i] = positional.get(i);
        }
        keywords.forEach(
                (name, value) -> {
                    int i = List.of(names).indexOf(name);
                    if (i < 0) {
                        throw PythonException.typeError(
                                callee + "() got an unexpected keyword argument '" + name + "'");
                    }
                    if (bound[i] != null) {
                        throw PythonException.typeError(
                                callee + "() got multiple values for argument '" + name + "'");
                    }
                    bound[i] = value;
                });
        return bound;
    }

    /// [#bind] where the first `required` parameters must be given.
    Object[] bindRequired(int required, String... names) {
        Object[] bound = bind(names);
        for (int i = 0; i < required; i++) {
            if (bound[i] == null) {
                throw PythonException.typeError(
                        callee + "() missing 1 required positional argument: '" + names[i] + "'");
            }
        }
        return bound;
    }

    /// Refuses any argument.
    void none() {
        bind();
    }
}

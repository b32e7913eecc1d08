package io.atoll.model.jinja;

/// A name, attribute or element that is not there. It prints as nothing, is false and iterates over nothing; anything else
/// done with it fails with its reason.
///
/// @param reason what is missing, or what the sandbox does not allow
/// @param forbidden whether the sandbox hides something that exists
record Undefined(String reason, boolean forbidden) {
    static Undefined because(String reason) {
        return new Undefined(reason, false);
    }

    static Undefined name(String name) {
        return because("'" + name + "' is undefined");
    }

    static Undefined unsafe(String attribute, String type) {
        return new Undefined(
                "access to attribute '" + attribute + "' of '" + type + "' object is unsafe.",
                true);
    }

    PythonException failure() {
        return forbidden
                ? PythonException.securityError(reason)
                : PythonException.undefinedError(reason);
    }
}

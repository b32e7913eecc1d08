package io.atoll.coordinator.sequence;

public final class TemplateException extends RuntimeException {
    public TemplateException(String m) {
        super(m);
    }
}

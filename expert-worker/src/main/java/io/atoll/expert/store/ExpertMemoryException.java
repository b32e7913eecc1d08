package io.atoll.expert.store;

/// Experts would take more memory than a worker may use.
public final class ExpertMemoryException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    ExpertMemoryException(int layer, int expert, long bytes, long maxBytes) {
        super(
                "too little memory: with layer=%d expert=%d experts would take %d bytes, and may take %d"
                        .formatted(layer, expert, bytes, maxBytes));
    }
}

package io.atoll.attention.moe;

/// Where an expert worker listens.
///
/// @param name how it is called in messages and statistics
public record WorkerAddress(String name, String host, int port) {
    public WorkerAddress {
        if (name.isBlank() || host.isBlank()) {
            throw new IllegalArgumentException("name and host must not be blank: " + name);
        }
        if (port <= 0 || port > 65535) {
            throw new IllegalArgumentException("port must be 1 to 65535: " + port);
        }
    }

    @Override
    public String toString() {
        return name + " at " + host + ":" + port;
    }
}

package io.atoll.coordinator.http;

import java.time.Duration;

/// Where the API listens and what it accepts.
///
/// @param host address to listen on; the default is this machine only, since the API has no credentials
/// @param port TCP port; 0 takes a free one
/// @param maxConnections open connections at once
/// @param maxBodyBytes largest request body
/// @param maxJsonDepth deepest nesting of arrays and objects in a body
/// @param maxPromptTokens longest prompt; the model's longest sequence holds as well
/// @param maxOutputTokens longest answer that can be asked for, and what a request that does not say gets at most
/// @param maxQueueTime how long a request may wait before it begins
/// @param requestTimeout how long a request may take from its arrival to its last token
/// @param readTimeout how long a client may take to send a body
/// @param writeTimeout how long a client may leave an answer unread that fills its socket
/// @param heartbeat how long a stream that has begun may be silent before a comment is sent, so that proxies keep it
public record HttpSettings(
        String host,
        int port,
        int maxConnections,
        int maxBodyBytes,
        int maxJsonDepth,
        int maxPromptTokens,
        int maxOutputTokens,
        Duration maxQueueTime,
        Duration requestTimeout,
        Duration readTimeout,
        Duration writeTimeout,
        Duration heartbeat) {
    public HttpSettings {
        if (host.isBlank()) {
            throw new IllegalArgumentException("host must not be blank");
        }
        if (port < 0 || port > 65535) {
            throw new IllegalArgumentException("port must be from 0 to 65535: " + port);
        }
        requirePositive("maxConnections", maxConnections);
        requirePositive("maxBodyBytes", maxBodyBytes);
        requirePositive("maxJsonDepth", maxJsonDepth);
        requirePositive("maxPromptTokens", maxPromptTokens);
        requirePositive("maxOutputTokens", maxOutputTokens);
        requirePositive("maxQueueTime", maxQueueTime);
        requirePositive("requestTimeout", requestTimeout);
        requirePositive("readTimeout", readTimeout);
        requirePositive("writeTimeout", writeTimeout);
        requirePositive("heartbeat", heartbeat);
    }

    public static HttpSettings defaults() {
        return new HttpSettings(
                "127.0.0.1",
                8080,
                1024,
                8 << 20,
                64,
                262_144,
                32_768,
                Duration.ofMinutes(2),
                Duration.ofMinutes(10),
                Duration.ofSeconds(30),
                Duration.ofSeconds(30),
                Duration.ofSeconds(10));
    }

    /// The same settings at another address.
    public HttpSettings listeningOn(String otherHost, int otherPort) {
        return new HttpSettings(
                otherHost,
                otherPort,
                maxConnections,
                maxBodyBytes,
                maxJsonDepth,
                maxPromptTokens,
                maxOutputTokens,
                maxQueueTime,
                requestTimeout,
                readTimeout,
                writeTimeout,
                heartbeat);
    }

    private static void requirePositive(String name, int value) {
        if (value <= 0) {
            throw new IllegalArgumentException(name + " must be positive: " + value);
        }
    }

    private static void requirePositive(String name, Duration value) {
        if (!value.isPositive()) {
            throw new IllegalArgumentException(name + " must be positive: " + value);
        }
    }
}

package io.atoll.cluster.config;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.DeserializationContext;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonMappingException;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.SerializerProvider;
import com.fasterxml.jackson.databind.deser.std.StdDeserializer;
import com.fasterxml.jackson.databind.exc.UnrecognizedPropertyException;
import com.fasterxml.jackson.databind.module.SimpleModule;
import com.fasterxml.jackson.databind.ser.std.StdSerializer;
import com.fasterxml.jackson.databind.ser.std.ToStringSerializer;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import com.fasterxml.jackson.dataformat.yaml.YAMLGenerator;
import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import com.fasterxml.jackson.datatype.jdk8.Jdk8Module;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// YAML between files and the records of this package. Every complaint names the file, the line and the field.
final class ConfigYaml {
    private static final Pattern DURATION = Pattern.compile("(\\d{1,9})\\s*(ms|s|m|h)");
    private static final long MAX_FILE_BYTES = 1 << 20;

    private ConfigYaml() {}

    static String text(Path file) throws ConfigFileException {
        try {
            long size = Files.size(file);
            if (size > MAX_FILE_BYTES) {
                throw new ConfigFileException(
                        file, 0, "", "has " + size + " bytes, at most " + MAX_FILE_BYTES);
            }
            return Files.readString(file, StandardCharsets.UTF_8);
        } catch (NoSuchFileException _) {
            throw new ConfigFileException(file, 0, "", "there is no such file");
        } catch (IOException e) {
            throw new ConfigFileException(file, 0, "", "cannot be read: " + e.getMessage());
        }
    }

    /// @param file where the text is from, for messages
    static <T> T parse(String text, Path file, TypeReference<T> type) throws ConfigFileException {
        try {
            T parsed = mapper().readValue(text, type);
            if (parsed == null) {
                throw new ConfigFileException(file, 0, "", "is empty");
            }
            return parsed;
        } catch (UnrecognizedPropertyException e) {
            throw new ConfigFileException(
                    file,
                    line(e),
                    path(e),
                    "unknown key, expected one of "
                            + e.getKnownPropertyIds().stream()
                                    .map(Object::toString)
                                    .sorted()
                                    .toList());
        } catch (JsonMappingException e) {
            Throwable cause = e.getCause() == null ? e : e.getCause();
            String problem =
                    cause instanceof JacksonException jackson
                            ? jackson.getOriginalMessage()
                            : cause.getMessage();
            throw new ConfigFileException(file, line(e), path(e), problem.strip());
        } catch (JacksonException e) {
            throw new ConfigFileException(file, line(e), "", e.getOriginalMessage().strip());
        }
    }

    private static int line(JacksonException e) {
        return e.getLocation() == null ? 0 : e.getLocation().getLineNr();
    }

    private static String path(JsonMappingException e) {
        StringBuilder path = new StringBuilder();
        for (JsonMappingException.Reference reference : e.getPath()) {
            if (reference.getFieldName() == null) {
                path.append('[').append(reference.getIndex()).append(']');
            } else {
                path.append(path.isEmpty() ? "" : ".").append(reference.getFieldName());
            }
        }
        return path.toString();
    }

    static String write(Object checked) {
        try {
            return mapper().writeValueAsString(checked);
        } catch (JacksonException e) {
            throw new IllegalStateException("a checked record does not print", e);
        }
    }

    private static YAMLMapper mapper() {
        SimpleModule module = new SimpleModule();
        module.addDeserializer(Duration.class, new DurationReader());
        module.addSerializer(Duration.class, new DurationWriter());
        module.addSerializer(Path.class, new ToStringSerializer(Path.class));
        return YAMLMapper.builder(
                        YAMLFactory.builder()
                                .disable(YAMLGenerator.Feature.WRITE_DOC_START_MARKER)
                                .enable(YAMLGenerator.Feature.MINIMIZE_QUOTES)
                                .build())
                .propertyNamingStrategy(PropertyNamingStrategies.KEBAB_CASE)
                .enable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
                .disable(DeserializationFeature.ACCEPT_FLOAT_AS_INT)
                .enable(JsonParser.Feature.STRICT_DUPLICATE_DETECTION)
                .addModule(new Jdk8Module())
                .addModule(module)
                .defaultPropertyInclusion(
                        JsonInclude.Value.construct(
                                JsonInclude.Include.NON_ABSENT, JsonInclude.Include.ALWAYS))
                .build();
    }

    static String text(Duration value) {
        return value.toMillis() % 1000 == 0 ? value.toSeconds() + "s" : value.toMillis() + "ms";
    }

    private static final class DurationReader extends StdDeserializer<Duration> {
        private static final long serialVersionUID = 1;

        DurationReader() {
            super(Duration.class);
        }

        @Override
        public Duration deserialize(JsonParser parser, DeserializationContext context)
                throws IOException {
            Matcher matcher = DURATION.matcher(parser.getText().strip());
            if (!matcher.matches()) {
                throw JsonMappingException.from(
                        parser,
                        "not a duration: '"
                                + parser.getText()
                                + "', expected a number and ms, s, m or h, as in 150ms");
            }
            long count = Long.parseLong(matcher.group(1));
            return switch (matcher.group(2)) {
                case "ms" -> Duration.ofMillis(count);
                case "s" -> Duration.ofSeconds(count);
                case "m" -> Duration.ofMinutes(count);
                default -> Duration.ofHours(count);
            };
        }
    }

    private static final class DurationWriter extends StdSerializer<Duration> {
        private static final long serialVersionUID = 1;

        DurationWriter() {
            super(Duration.class);
        }

        @Override
        public void serialize(Duration value, JsonGenerator generator, SerializerProvider provider)
                throws IOException {
            generator.writeString(text(value));
        }
    }
}

package io.atoll.proto.wire;

import com.google.protobuf.ByteString;
import com.google.protobuf.CodedInputStream;
import com.google.protobuf.CodedOutputStream;
import com.google.protobuf.InvalidProtocolBufferException;
import io.atoll.proto.v1.Hello;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;

/// How a `DoExchange` stream opens: what its first message's Flight descriptor says.
public sealed interface ExchangeDescriptor {
    /// Descriptor of type CMD: an attention worker says hello and wants exact integer sums.
    record Exact(Hello hello) implements ExchangeDescriptor {}

    /// Descriptor of type PATH, `["experts", "<layer>"]`: any Flight client, one layer, float sums.
    record Floats(int layer) implements ExchangeDescriptor {}

    /// First element of the path of a layer's flight.
    String PATH_ROOT = "experts";

    /// Descriptor types of Flight.proto.
    int TYPE_PATH = 1;

    int TYPE_CMD = 2;

    /// Longest path, in elements, that is read before giving up.
    int MAX_PATH = 8;

    /// The descriptor as protobuf bytes.
    static byte[] encode(ExchangeDescriptor descriptor) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        CodedOutputStream out = CodedOutputStream.newInstance(bytes);
        try {
            switch (descriptor) {
                case Exact(var hello) -> {
                    out.writeEnum(1, TYPE_CMD);
                    out.writeBytes(2, hello.toByteString());
                }
                case Floats(var layer) -> {
                    out.writeEnum(1, TYPE_PATH);
                    out.writeString(3, PATH_ROOT);
                    out.writeString(3, Integer.toString(layer));
                }
            }
            out.flush();
        } catch (IOException e) {
            throw new UncheckedIOException("writing to memory", e);
        }
        return bytes.toByteArray();
    }

    /// Reads the descriptor of a stream's first message.
    static ExchangeDescriptor parse(byte[] bytes) throws MalformedMessageException {
        int type = 0;
        ByteString command = ByteString.EMPTY;
        List<String> path = new ArrayList<>();
        try {
            CodedInputStream in = CodedInputStream.newInstance(bytes);
            for (int tag = in.readTag(); tag != 0; tag = in.readTag()) {
                switch (tag) {
                    case 1 << 3 -> type = in.readEnum();
                    case 2 << 3 | 2 -> command = in.readBytes();
                    case 3 << 3 | 2 -> {
                        path.add(in.readStringRequireUtf8());
                        if (path.size() > MAX_PATH) {
                            throw new MalformedMessageException(
                                    "descriptor.path", "more than " + MAX_PATH + " elements");
                        }
                    }
                    default -> {
                        if (!in.skipField(tag)) {
                            throw new MalformedMessageException("descriptor", "tag " + tag);
                        }
                    }
                }
            }
            return switch (type) {
                case TYPE_CMD -> new Exact(Hello.parseFrom(command));
                case TYPE_PATH -> new Floats(layerOf(path));
                default ->
                        throw new MalformedMessageException(
                                "descriptor.type", type + ", expected 1 (path) or 2 (command)");
            };
        } catch (InvalidProtocolBufferException e) {
            throw new MalformedMessageException("descriptor", String.valueOf(e.getMessage()));
        } catch (IOException e) {
            throw new UncheckedIOException("reading from memory", e);
        }
    }

    /// The layer that a flight's path names.
    static int layerOf(List<String> path) throws MalformedMessageException {
        if (path.size() != 2 || !path.getFirst().equals(PATH_ROOT)) {
            throw new MalformedMessageException(
                    "descriptor.path", path + ", expected [" + PATH_ROOT + ", <layer>]");
        }
        try {
            int layer = Integer.parseInt(path.get(1));
            if (layer >= 0) {
                return layer;
            }
        } catch (NumberFormatException _) {
            // Said below, as for a negative number.
        }
        throw new MalformedMessageException(
                "descriptor.path", "'" + path.get(1) + "' is not a layer number");
    }
}

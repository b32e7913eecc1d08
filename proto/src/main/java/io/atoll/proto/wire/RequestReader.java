package io.atoll.proto.wire;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.MemorySegment;

/// Reads and checks the rows and routes of messages of one stream. One thread at a time.
public final class RequestReader {
    private final RowFormat format;
    private final int hidden;
    private final int experts;
    private final BatchReader batch = new BatchReader();

    /// @param experts experts of a layer: route numbers are below, and a row has at most that many
    public RequestReader(RowFormat format, int hidden, int experts) {
        this.format = format;
        this.hidden = hidden;
        this.experts = experts;
    }

    /// Reads a message of an attention worker, which has a [DispatchHeader].
    public Request read(FlightMessage message) throws MalformedMessageException {
        DispatchHeader header = DispatchHeader.read(message);
        Request request = readBatch(message, header);
        if (header.rows() != request.rows()) {
            throw new MalformedMessageException(
                    "app_metadata.rows", header.rows() + " for a batch of " + request.rows());
        }
        return request;
    }

    /// Reads a message of a plain Flight client; its `app_metadata` is not looked at.
    ///
    /// @param header what stands in for the header it does not have
    public Request readPlain(FlightMessage message, DispatchHeader header)
            throws MalformedMessageException {
        return readBatch(message, header);
    }

    private Request readBatch(FlightMessage message, DispatchHeader header)
            throws MalformedMessageException {
        try {
            return read(message, header);
        } catch (IndexOutOfBoundsException _) {
            throw ArrowSchemas.outside();
        }
    }

    private Request read(FlightMessage message, DispatchHeader header)
            throws MalformedMessageException {
        boolean quantized = format == RowFormat.Q8;
        int rows = batch.open(message, quantized ? 8 : 6, quantized ? 13 : 10);
        batch.node("hidden", rows);
        batch.node("hidden.item", (long) rows * hidden);
        long hiddenAt = batch.buffer("hidden.data", (long) rows * format.rowBytes(hidden));
        long scalesAt = hiddenAt;
        if (quantized) {
            batch.node("scales", rows);
            batch.node("scales.item", (long) rows * (hidden / RowFormat.BLOCK));
            scalesAt = batch.buffer("scales.data", (long) rows * format.scaleBytes(hidden));
        }
        batch.node("routes", rows);
        long offsetsAt = batch.buffer("routes.offsets", (rows + 1L) * Integer.BYTES);
        int routes = batch.node("routes.item");
        batch.node("routes.item.expert", routes);
        long expertsAt = batch.buffer("routes.item.expert", (long) routes * Integer.BYTES);
        batch.node("routes.item.weight", routes);
        long weightsAt = batch.buffer("routes.item.weight", (long) routes * Float.BYTES);

        MemorySegment memory = message.memory();
        checkOffsets(memory, offsetsAt, rows, routes);
        for (int i = 0; i < routes; i++) {
            int expert = memory.get(JAVA_INT, expertsAt + (long) i * Integer.BYTES);
            if (expert < 0 || expert >= experts) {
                throw new MalformedMessageException(
                        "routes[" + i + "].expert", expert + ", the model has " + experts);
            }
        }
        return new Request(
                header,
                rows,
                memory.asSlice(hiddenAt, (long) rows * format.rowBytes(hidden)),
                memory.asSlice(scalesAt, (long) rows * format.scaleBytes(hidden)),
                memory.asSlice(offsetsAt, (rows + 1L) * Integer.BYTES),
                memory.asSlice(expertsAt, (long) routes * Integer.BYTES),
                memory.asSlice(weightsAt, (long) routes * Float.BYTES));
    }

    private void checkOffsets(MemorySegment memory, long at, int rows, int routes)
            throws MalformedMessageException {
        int last = memory.get(JAVA_INT, at);
        if (last < 0) {
            throw new MalformedMessageException("routes.offsets[0]", "" + last);
        }
        for (int row = 1; row <= rows; row++) {
            int next = memory.get(JAVA_INT, at + (long) row * Integer.BYTES);
            if (next < last || next > routes || next - last > experts) {
                throw new MalformedMessageException(
                        "routes.offsets[" + row + "]",
                        next + " after " + last + ", with " + routes + " routes");
            }
            last = next;
        }
    }

    /// Rows and routes in a message's memory: slices that are valid until the message is closed.
    ///
    /// @param header what came beside them
    /// @param rows how many
    /// @param hidden f32 or int8 `[rows, hidden]`
    /// @param scales f32 `[rows, hidden / 32]` for Q8, else empty
    /// @param routeOffsets int32 `[rows + 1]`, ascending: row `r` has the routes `routeOffsets[r]` to `routeOffsets[r + 1] - 1`
    /// @param experts int32, all below the model's number of experts
    /// @param weights f32, any bits
    public record Request(
            DispatchHeader header,
            int rows,
            MemorySegment hidden,
            MemorySegment scales,
            MemorySegment routeOffsets,
            MemorySegment experts,
            MemorySegment weights) {}
}

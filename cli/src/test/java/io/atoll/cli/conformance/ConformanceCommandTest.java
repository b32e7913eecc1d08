package io.atoll.cli.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.model.checkpoint.DType;
import io.atoll.model.checkpoint.SafetensorsWriter;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.lang.foreign.MemorySegment;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;

/// What the command reports and how it ends, over small sets.
class ConformanceCommandTest {
    private static final Path DEMO = Path.of(System.getProperty("atoll.root"), "demo-model");

    @TempDir private static Path agreeing;

    @TempDir private Path set;

    @BeforeAll
    static void write() throws IOException {
        OwnGoldenFiles.write(agreeing, DEMO);
    }

    /// How a run of the command ended.
    private record Ended(int code, String out, String err) {
        List<String> lines() {
            return out.lines().toList();
        }
    }

    private Ended run(String... arguments) {
        StringWriter out = new StringWriter();
        StringWriter err = new StringWriter();
        List<String> all = new ArrayList<>(List.of(arguments));
        all.addAll(List.of("--model", DEMO.toString()));
        int code =
                new CommandLine(new ConformanceCommand())
                        .setOut(new PrintWriter(out))
                        .setErr(new PrintWriter(err))
                        .execute(all.toArray(String[]::new));
        return new Ended(code, out.toString(), err.toString());
    }

    private void copyForward() throws IOException {
        Files.createDirectories(set.resolve("forward"));
        try (Stream<Path> files = Files.list(agreeing.resolve("forward"))) {
            for (Path file : files.toList()) {
                Files.copy(file, set.resolve("forward").resolve(file.getFileName()));
            }
        }
    }

    private Ended runForwardChanging(String file, String tensor, UnaryOperator<float[]> change)
            throws IOException {
        copyForward();
        OwnGoldenFiles.change(set.resolve("forward/" + file + ".safetensors"), tensor, change);
        return run(set.toString());
    }

    private static UnaryOperator<float[]> firstTimes(float factor) {
        return values -> {
            values[0] *= factor;
            return values;
        };
    }

    /// The largest value 1 % larger, wherever it is.
    private static float[] largestTimes(float[] values) {
        int at = 0;
        for (int i = 1; i < values.length; i++) {
            at = Math.abs(values[i]) > Math.abs(values[at]) ? i : at;
        }
        values[at] *= 1.01f;
        return values;
    }

    @Test
    void setThatAgreesPasses() {
        Ended ended = run(agreeing.toString());
        assertEquals(0, ended.code(), ended.out() + ended.err());
        assertEquals(2, ended.lines().size(), ended.out());
        assertTrue(
                ended.lines().getFirst().matches("forward    pass  +\\d+ checks  worst .* s\\s*"),
                ended.out());
        assertEquals("    keys and values are kept in f32", ended.lines().getLast());
    }

    @ParameterizedTest
    @CsvSource({
        "prompt, layer.2.mixer_output",
        "decode, layer.7.topk_weights",
        "state_after_first_decode, layer.0.conv_state",
        "state_after_decode, layer.6.recurrent_state",
        "state_after_prompt, layer.3.k",
        "yarn, prompt.0.top10_logprobs",
    })
    void oneChangedValueFailsByName(String file, String tensor) throws IOException {
        Ended ended = runForwardChanging(file, tensor, ConformanceCommandTest::largestTimes);
        assertEquals(1, ended.code(), ended.out());
        assertTrue(ended.lines().getFirst().startsWith("forward    FAIL"), ended.out());
        assertTrue(ended.lines().getFirst().contains("  1 failed  "), ended.out());
        String shown = tensor.replaceFirst("^prompt\\.(\\d)\\.", "$1 ");
        String where = ended.lines().getLast();
        assertTrue(where.startsWith("    " + file + " " + shown + "["), ended.out());
        assertTrue(where.contains("allowed"), ended.out());
    }

    @Test
    void notANumberFails() throws IOException {
        Ended ended = runForwardChanging("prompt", "logits", firstTimes(Float.NaN));
        assertEquals(1, ended.code(), ended.out());
        assertTrue(ended.out().contains("expected NaN"), ended.out());
    }

    @Test
    void differenceBelowTheToleranceIsReportedAsTheWorst() throws IOException {
        Ended ended = runForwardChanging("prompt", "layer.1.topk_weights", firstTimes(1.00005f));
        assertEquals(0, ended.code(), ended.out());
        assertTrue(ended.out().contains(" of 1.0e-04 (prompt layer.1.topk_weights)"), ended.out());
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "prompt.safetensors",
                "state_after_decode.safetensors",
                "trace.json",
                "yarn.json"
            })
    void tornFileFailsItsSuiteAndNamesTheFile(String name) throws IOException {
        copyForward();
        Path file = set.resolve("forward").resolve(name);
        byte[] whole = Files.readAllBytes(file);
        Files.write(file, Arrays.copyOf(whole, whole.length / 2));
        copyResource("tokenizer/encode.json");
        copyResource("tokenizer/stream.json");

        Ended ended = run(set.toString());
        assertEquals(1, ended.code());
        assertTrue(ended.lines().getFirst().startsWith("forward    FAIL"), ended.out());
        assertTrue(ended.out().contains("golden file: " + file), ended.out());
        assertTrue(ended.out().contains("tokenizer  pass"), ended.out());
    }

    @Test
    void missingFileFailsItsSuite() throws IOException {
        copyForward();
        Files.delete(set.resolve("forward/decode.safetensors"));
        Ended ended = run(set.toString());
        assertEquals(1, ended.code());
        assertTrue(ended.out().contains("decode.safetensors: missing"), ended.out());
    }

    @Test
    void answersOfTheDemoModelAgree() throws IOException {
        copyResource("generate/generate.json");
        Ended ended = run(set.toString());
        assertEquals(0, ended.code(), ended.out());
        assertTrue(ended.out().startsWith("generate   pass"), ended.out());
    }

    @Test
    void wrongAnswerIsShownWithItsIndex() throws IOException {
        copyResource("generate/generate.json");
        Path file = set.resolve("generate/generate.json");
        Files.writeString(
                file,
                Files.readString(file)
                        .replace("\"generated_ids\": [283, 477", "\"generated_ids\": [283, 478"));
        Ended ended = run(set.toString());
        assertEquals(1, ended.code());
        assertTrue(
                ended.out().contains("case 0 generated_ids[1]: expected id 478, found id 477"),
                ended.out());
    }

    @Test
    void chatsUnderTheDemoTemplateAgree() throws IOException {
        copyResource("chat/chat.json");
        Ended ended = run(set.toString());
        assertEquals(0, ended.code(), ended.out());
        assertTrue(ended.out().startsWith("chat       pass"), ended.out());
    }

    @Test
    void promptInPlaceOfARefusalFails() throws IOException {
        copyResource("chat/chat.json");
        Path file = set.resolve("chat/chat.json");
        Files.writeString(
                file,
                Files.readString(file)
                        .replaceFirst(
                                "\"demo\": \\{\"text\": \"[^}]*\\}",
                                "\"demo\": {\"error\": \"No.\", \"raised_by\": \"template\"}"));
        Ended ended = run(set.toString());
        assertEquals(1, ended.code());
        assertTrue(
                ended.out().contains("case 0 demo: expected the refusal \"No.\", found a prompt"),
                ended.out());
    }

    @Test
    void missingReleaseTemplateFailsAndNamesThePlacesTried() throws IOException {
        copyResource("chat/chat.json");
        Path file = set.resolve("chat/chat.json");
        Files.writeString(file, Files.readString(file).replace("\"demo\": ", "\"qwen35\": "));
        Ended ended = run(set.toString());
        assertEquals(1, ended.code());
        assertTrue(ended.out().contains("qwen35 template: "), ended.out());
        assertTrue(ended.out().contains("give a set that has it with --fixtures"), ended.out());
    }

    @Test
    void suiteWithoutSupportDoesNotFailUnlessAskedFor() throws IOException {
        Files.createDirectories(set.resolve("vision"));
        Ended all = run(set.toString(), "--engine=serve");
        assertEquals(0, all.code());
        assertEquals(List.of("vision     skip  not supported with engine serve yet"), all.lines());
        Ended asked = run(set.toString(), "--engine=serve", "--suite", "vision");
        assertEquals(1, asked.code());
        assertEquals(
                List.of("vision     skip  not supported with engine serve yet"), asked.lines());
    }

    @Test
    void suiteNamesMayStandBeforeTheDirectory() throws IOException {
        copyResource("tokenizer/encode.json");
        copyResource("tokenizer/stream.json");
        Files.createDirectories(set.resolve("mtp"));
        Ended ended = run("--suite", "tokenizer", set.toString());
        assertEquals(0, ended.code(), ended.out() + ended.err());
        assertEquals(1, ended.lines().size(), ended.out());
    }

    @Test
    void missingModelNamesThePlacesTried(@TempDir Path home) throws IOException {
        copyResource("generate/generate.json");
        StringWriter out = new StringWriter();
        int code;
        String before = System.getProperty("atoll.home", ".");
        System.setProperty("atoll.home", home.toString()); // an installation without the demo model
        try {
            code =
                    new CommandLine(new ConformanceCommand())
                            .setOut(new PrintWriter(out))
                            .execute(set.toString());
        } finally {
            System.setProperty("atoll.home", before);
        }
        assertEquals(1, code);
        assertTrue(out.toString().contains("no model; give one with --model"), out.toString());
        assertTrue(out.toString().contains(set.resolve("demo-model").toString()), out.toString());
        assertTrue(out.toString().contains(home.resolve("demo-model").toString()), out.toString());
    }

    @Test
    void anotherSetLendsTheModel(@TempDir Path base) throws IOException {
        copyResource("generate/generate.json");
        Files.createSymbolicLink(base.resolve("demo-model"), DEMO);
        StringWriter out = new StringWriter();
        int code =
                new CommandLine(new ConformanceCommand())
                        .setOut(new PrintWriter(out))
                        .execute(set.toString(), "--fixtures", base.toString());
        assertEquals(0, code, out.toString());
    }

    @Test
    void usageProblemsEndWithTwo() {
        assertEquals(2, run(set.resolve("nowhere").toString()).code());
        assertEquals(2, run(set.toString()).code(), "an empty directory has nothing to compare");
        assertEquals(2, run(set.toString(), "--suite", "backward").code());
        assertEquals(2, run(set.toString(), "--suite").code());
        assertEquals(2, run(set.toString(), "--engine", "steam").code());
        assertEquals(2, run().code());
        assertTrue(run(set.toString(), "--engine", "steam").err().contains("no engine 'steam'"));
    }

    /// A `quant/` suite of one type: a block of Q8_0 is a scale in F16 and 32 signed bytes.
    private void writeQuant(float scale) throws IOException {
        Path quant = Files.createDirectories(set.resolve("quant"));
        byte[] block = new byte[34];
        float[] values = new float[32];
        block[1] = 0x3C; // 1.0
        for (int i = 0; i < 32; i++) {
            block[2 + i] = (byte) (i - 16);
            values[i] = scale * (i - 16);
        }
        new SafetensorsWriter()
                .add("Q8_0.x.blocks", DType.U8, new long[] {1, 34}, MemorySegment.ofArray(block))
                .addF32("Q8_0.x.values", new long[] {1, 32}, values)
                .write(quant.resolve("ggml.safetensors"));
        Files.writeString(
                quant.resolve("quant.json"),
                """
                {"ggml": [{"type": "Q8_0", "id": 8, "block_elements": 32, "block_bytes": 34,
                           "sets": ["x"]}],
                 "checkpoint_formats": {}}
                """);
    }

    @Test
    void decodedBlocksAreComparedRowByRow() throws IOException {
        writeQuant(1);
        Ended agreeing = run(set.toString());
        assertEquals(0, agreeing.code(), agreeing.out());
        assertTrue(agreeing.out().startsWith("quant      pass      4 checks"), agreeing.out());
        writeQuant(1.0001f);
        Ended differing = run(set.toString());
        assertEquals(1, differing.code(), differing.out());
        assertTrue(
                differing.out().contains("Q8_0.x row 0[0]: expected -16.0016, found -16.0"),
                differing.out());
    }

    /// A `gguf/` suite over two files of one request.
    private void writeGguf() throws IOException {
        Path gguf = Files.createDirectories(set.resolve("gguf"));
        String side =
                """
                {"top10_ids": [1, 0], "top10_logprobs": [-0.1, -2.5], "generated_ids": [1],
                 "min_gap": 2}
                """;
        String prompts = "\"prompts\": [{\"request\": 0, \"prompt_ids\": [1], \"llama_cpp\": ";
        prompts += side + ", \"dequantised\": " + side + "}]}";
        Files.writeString(
                gguf.resolve("oracle.json"),
                "{\"files\": [{\"file\": \"a.gguf\", "
                        + prompts
                        + ", {\"file\": \"b.gguf\", "
                        + prompts
                        + "]}");
        new SafetensorsWriter()
                .addF32("a.dequantised_last_logits", new long[] {1, 2}, new float[2])
                .addF32("b.dequantised_last_logits", new long[] {1, 2}, new float[2])
                .write(gguf.resolve("oracle.safetensors"));
    }

    @Test
    void setWithoutAnyOfItsGgufFilesComparesNothingAndFails() throws IOException {
        writeGguf();
        Ended ended = run(set.toString());
        assertEquals(1, ended.code(), ended.out());
        assertTrue(
                ended.out().contains("    a.gguf is not there: its requests are not compared"),
                ended.out());
        assertTrue(ended.out().contains("none of the set's GGUF files is there"), ended.out());
    }

    @Test
    void damagedGgufFileFailsByName() throws IOException {
        writeGguf();
        Path file = Files.writeString(set.resolve("gguf/b.gguf"), "These are no weights.");
        Ended ended = run(set.toString());
        assertEquals(1, ended.code(), ended.out());
        assertTrue(ended.out().contains("a.gguf is not there"), ended.out());
        assertTrue(ended.out().contains(file + ": magic"), ended.out());
    }

    private void copyResource(String name) throws IOException {
        Path target = set.resolve(name);
        Files.createDirectories(target.getParent());
        try {
            Files.copy(Path.of(getClass().getResource(name).toURI()), target);
        } catch (URISyntaxException e) {
            throw new IOException(e);
        }
    }

    private void writeToolCalls(String city) throws IOException {
        Files.createDirectories(set.resolve("toolcalls"));
        Files.writeString(
                set.resolve("toolcalls/toolcalls.json"),
                """
                {"tools": [{"type": "function", "function": {"name": "weather"}}],
                 "cases": [{"id": 0, "thinking": true, "tools_given": true,
                   "text": "Hm.</think><tool_call><function=weather><parameter=city>Bern</parameter></function>",
                   "expected": {"reasoning": "Hm.", "content": null,
                     "calls": [{"name": "weather", "arguments": {"city": "%s"}}]}}]}
                """
                        .formatted(city));
    }

    @Test
    void outputsAreComparedByWhatTheyMean() throws IOException {
        writeToolCalls("Bern");
        Ended agrees = run(set.toString());
        assertEquals(0, agrees.code(), agrees.out());
        assertTrue(agrees.out().startsWith("toolcalls  pass      7 checks"), agrees.out());
        writeToolCalls("Basel");
        Ended differs = run(set.toString());
        assertEquals(1, differs.code());
        assertTrue(
                differs.out()
                        .contains(
                                "case 0 call 0: expected {\"city\":\"Basel\"}, found {\"city\":"
                                        + " \"Bern\"}"),
                differs.out());
    }
}

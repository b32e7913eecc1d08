package io.atoll.model.config;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.atoll.model.config.QuantizationConfig.Method;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class QuantizationConfigTest {
    @TempDir Path directory;

    @Test
    void aReleaseWithoutTheFieldIsNotQuantised() throws IOException {
        write("config.json", "{}");
        assertEquals(Optional.empty(), QuantizationConfig.read(directory));
    }

    @Test
    void fp8HasItsBlock() throws IOException {
        QuantizationConfig config =
                read("{'quant_method':'fp8','fmt':'e4m3','weight_block_size':[128,64]}");
        assertEquals(Method.FP8, config.method());
        assertEquals(128, config.blockRows());
        assertEquals(64, config.blockCols());
    }

    @Test
    void gptqHasBitsGroupAndKindOfZeros() throws IOException {
        QuantizationConfig config =
                read(
                        "{'quant_method':'gptq','bits':4,'group_size':128,'checkpoint_format':'gptq_v2'}");
        assertEquals(4, config.bits());
        assertEquals(128, config.groupSize());
        assertTrue(config.wholeZeros());
        assertEquals(0, read("{'quant_method':'gptq','bits':4,'group_size':-1}").groupSize());
    }

    @Test
    void compressedTensorsSpeaksForAllTensorsOnlyWithOneGroup() throws IOException {
        String group = "{'weights':{'num_bits':4,'group_size':32}}";
        String start = "{'quant_method':'compressed-tensors','format':'pack-quantized',";
        QuantizationConfig one = read(start + "'config_groups':{'a':" + group + "}}");
        assertEquals(4, one.bits());
        assertEquals(32, one.groupSize());
        QuantizationConfig two =
                read(start + "'config_groups':{'a':" + group + ",'b':" + group + "}}");
        assertEquals(0, two.bits());
        assertEquals(0, two.groupSize());
    }

    @Test
    void modeloptsOwnFileIsReadWhereConfigJsonIsSilent() throws IOException {
        write("config.json", "{}");
        write(
                "hf_quant_config.json",
                "{'producer':{'name':'modelopt'},'quantization':{'quant_algo':'NVFP4','group_size':16}}");
        assertEquals(Method.MODELOPT, QuantizationConfig.read(directory).orElseThrow().method());
    }

    @Test
    void theTextConfigurationMayHoldTheField() throws IOException {
        write("config.json", "{'text_config':{'quantization_config':{'quant_method':'quark'}}}");
        assertEquals(Method.QUARK, QuantizationConfig.read(directory).orElseThrow().method());
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "{'quant_method':'bitsandbytes'} | bitsandbytes",
                "{'quant_method':'mxfp4'} | mxfp4",
                "{'quant_method':'fp8','fmt':'e5m2'} | e5m2",
                "{'quant_method':'gptq','bits':3} | found 3",
                "{'quant_method':'gptq','bits':4,'checkpoint_format':'marlin'} | marlin",
                "{'quant_method':'gptq','bits':4,'pack_dtype':'int16'} | int16",
                "{'quant_method':'awq','bits':4,'version':'gemv'} | gemv",
                "{'quant_method':'awq','bits':8} | found 8",
                "{'quant_method':'compressed-tensors','format':'marlin-24'} | marlin-24",
                "{'quant_method':'compressed-tensors','sparsity_config':{'format':'sparse-bitmask'}}"
                    + " | sparse-bitmask",
                "{'quant_method':'modelopt','quant_algo':'W4A8_AWQ'} | W4A8_AWQ",
                "{'quant_method':'fp8','weight_block_size':[128]} | two sizes",
                "{} | quant_method",
            })
    void unknownVariantsAreRefusedByName(String config, String part) {
        ConfigException e = assertThrows(ConfigException.class, () -> read(config));
        assertTrue(e.getMessage().contains(part), e.getMessage());
        assertTrue(e.getMessage().contains("quantization_config"), e.getMessage());
    }

    private QuantizationConfig read(String config) throws IOException {
        write("config.json", "{'quantization_config':" + config + "}");
        return QuantizationConfig.read(directory).orElseThrow();
    }

    private void write(String file, String json) throws IOException {
        Files.writeString(directory.resolve(file), json.replace('\'', '"'));
    }
}

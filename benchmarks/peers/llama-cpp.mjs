// One measurement of llama.cpp, through the prebuilt CPU libraries of node-llama-cpp.
//
//   node llama-cpp.mjs MODEL.gguf THREADS PROMPT_TOKENS GENERATED_TOKENS RUNS
//
// Prints one JSON object: the rates of each run. The prompt rate is of all tokens but the last, which begins the generation;
// the generation rate includes llama.cpp's choice of the most likely token and one call from JavaScript a token.
import {getLlama} from "node-llama-cpp";

const [path, ...numbers] = process.argv.slice(2);
const [threads, promptTokens, generatedTokens, runs] = numbers.map(Number);
if (path === undefined || [threads, promptTokens, generatedTokens, runs].some((n) => !(n > 0)) || promptTokens < 2) {
  console.error("usage: node llama-cpp.mjs MODEL.gguf THREADS PROMPT_TOKENS(2 or more) GENERATED_TOKENS RUNS");
  process.exit(2);
}

const started = performance.now();
const llama = await getLlama({gpu: false, build: "never", maxThreads: threads, logLevel: "fatal"});
const model = await llama.loadModel({modelPath: path, gpuLayers: 0});
const context = await model.createContext({
  contextSize: promptTokens + generatedTokens + 32,
  batchSize: Math.min(promptTokens, 512),
  threads,
  flashAttention: true,
});
const loadSeconds = (performance.now() - started) / 1000;
const sequence = context.getSequence();
const prompt = scattered(promptTokens);

const promptRates = [];
const generationRates = [];
for (let run = 0; run < runs; run++) {
  await sequence.clearHistory();
  promptRates.push(await rate(promptTokens - 1, () => sequence.evaluateWithoutGeneratingNewTokens(prompt.slice(0, -1))));
  generationRates.push(await rate(generatedTokens, () => generate(prompt.at(-1))));
}
console.log(JSON.stringify({
  load_seconds: loadSeconds,
  prompt_tokens_per_second: promptRates,
  generated_tokens_per_second: generationRates,
}));
process.exit(0); // without waiting for the library to take itself apart

/** Token ids all over the first twenty thousand, the same in every run. */
function scattered(count) {
  let state = 1;
  return Array.from({length: count}, () => {
    state = (state * 48271) % 2147483647; // Park and Miller's generator, with the later multiplier
    return 300 + (state % 20000);
  });
}

async function rate(tokens, work) {
  const start = performance.now();
  await work();
  return tokens / ((performance.now() - start) / 1000);
}

async function generate(first) {
  let left = generatedTokens;
  for await (const _ of sequence.evaluate([first], {temperature: 0, yieldEogToken: true})) {
    if (--left === 0) {
      return;
    }
  }
}

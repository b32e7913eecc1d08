// Atoll and llama.cpp on the same file with the same threads, in alternation, and the ratios of their rates.
//
//   node compare.mjs ATOLL MODEL.gguf [ROUNDS [THREADS]]
//
// ATOLL is the launcher. A round is one process of each, one after the other, so that what else the machine does meets both.
import {spawn} from "node:child_process";
import {existsSync} from "node:fs";
import {availableParallelism} from "node:os";

const PROMPT_TOKENS = 512;
const GENERATED_TOKENS = 64;
const RUNS = 3; // in each process

const [atoll, model, roundsText = "3", threadsText = String(availableParallelism())] = process.argv.slice(2);
const rounds = Number(roundsText);
const threads = Number(threadsText);
if (model === undefined || !(rounds > 0) || !(threads > 0)) {
  fail("usage: scripts/bench peers MODEL.gguf [ROUNDS [THREADS]]", 2);
}
if (!existsSync(model)) {
  fail(`the model ${model} does not exist`, 2);
}

const measured = [];
for (let round = 1; round <= rounds; round++) {
  const peer = await json("node", [
    new URL("llama-cpp.mjs", import.meta.url).pathname, model, threads, PROMPT_TOKENS, GENERATED_TOKENS, RUNS]);
  const llama = {
    prompt: median(peer.prompt_tokens_per_second),
    generation: median(peer.generated_tokens_per_second),
  };
  show(round, "llama.cpp", llama);
  const report = await json(atoll, [
    "bench", "run", model, "--json", "--threads", threads, "--batches", 1, "--prompts", PROMPT_TOKENS,
    "--generate", GENERATED_TOKENS, "--repeat", RUNS]);
  const row = report.rows[0];
  const ours = {
    prompt: row.prompt_tokens_per_second.median,
    generation: row.generated_tokens_per_second.median,
  };
  show(round, "Atoll", ours,
    `weights at ${(row.weight_bytes_per_second / 1e9).toFixed(1)} GB/s, plain reading ` +
    `${(report.read_bytes_per_second.median / 1e9).toFixed(1)} GB/s`);
  measured.push({llama, ours});
}
for (const [what, title] of [["prompt", `prompt of ${PROMPT_TOKENS}`], ["generation", "generation, batch 1"]]) {
  const ratios = measured.map(({llama, ours}) => ours[what] / llama[what]);
  console.log(`${title.padEnd(20)} Atoll / llama.cpp = ${median(ratios).toFixed(2)} ` +
    `(${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}, ${rounds} rounds, ${threads} threads)`);
}

function show(round, program, rates, more = "") {
  console.log(`round ${round}  ${program.padEnd(10)} prompt ${rates.prompt.toFixed(1).padStart(8)} tokens/s   ` +
    `generation ${rates.generation.toFixed(1).padStart(7)} tokens/s   ${more}`);
}

/** Runs a program to its end and reads the JSON object it prints; its messages pass through. */
function json(program, args) {
  return new Promise((resolve) => {
    const child = spawn(program, args.map(String), {stdio: ["ignore", "pipe", "inherit"]});
    let text = "";
    child.stdout.on("data", (chunk) => { text += chunk; });
    child.on("error", (error) => fail(`${program} does not start: ${error.message}`, 1));
    child.on("close", (code) => {
      if (code !== 0) {
        fail(`${program} ended with ${code}`, 1);
      }
      try {
        resolve(JSON.parse(text));
      } catch (error) {
        fail(`${program} printed no JSON: ${error.message}\n${text}`, 1);
      }
    });
  });
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function fail(message, code) {
  console.error(`peers: ${message}`);
  process.exit(code);
}

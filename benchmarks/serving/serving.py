"""What serving costs beside computing: `scripts/bench serving URL [ROUNDS]`, against a server that does nothing else.

1. A conversation of about 4,000 tokens and its second turn: time to the first token of each, from the request on.
2. Sequences that generate together, 1 and 16, with prompts of about 32 tokens: generated tokens a second of all, while all of them
   generate, over HTTP. Beside what `atoll bench run` gives for the same batch without HTTP and scheduler. And how much of the time,
   from the first request to the last token, the step loop was not in a step: scheduling, requests, answers.
"""

import http.client
import json
import random
import statistics
import sys
import threading
import time
import urllib.parse

ADDRESS = urllib.parse.urlsplit(sys.argv[1]).netloc
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 3
WORDS = "river stone cloud amber field night paper glass copper garden window letter harbour engine".split()


def stream(messages, tokens):
    """The times at which an answer's tokens came, after the request, and what the prompt was."""
    body = {
        "messages": messages,
        "max_tokens": tokens,
        "temperature": 0,
        "ignore_eos": True,
        "stream": True,
        "logprobs": True,  # a chunk for each token, also where its text is held back
        "stream_options": {"include_usage": True},
        "chat_template_kwargs": {"enable_thinking": False},
    }
    connection = http.client.HTTPConnection(ADDRESS)
    begin = time.perf_counter()
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    if answer.status != 200:
        sys.exit(f"serving: {answer.status} {answer.read().decode()}")
    times, usage, text = [], {}, ""
    for line in answer:
        if line.startswith(b"data: {"):
            chunk = json.loads(line[6:])
            usage = chunk.get("usage") or usage
            for choice in chunk["choices"]:
                text += choice["delta"].get("content") or ""
                times += [time.perf_counter()] * len((choice.get("logprobs") or {}).get("content") or [])
    connection.close()
    return [t - begin for t in times], usage, text, begin


def words(count, generator):
    return " ".join(generator.choice(WORDS) for _ in range(count))


def tokens_of_a_word():
    """Tokenizers of synthetic models have hardly any whole words."""
    connection = http.client.HTTPConnection(ADDRESS)
    body = json.dumps({"prompt": words(1000, random.Random(2))})
    connection.request("POST", "/tokenize", body, {"Content-Type": "application/json"})
    return json.load(connection.getresponse())["count"] / 1000


def text(tokens, generator):
    return words(max(1, round(tokens / TOKENS_OF_A_WORD)), generator)


def turns(generator):
    conversation = [{"role": "user", "content": text(4000, generator)}]
    first, usage, said, _ = stream(conversation, 4)
    conversation += [{"role": "assistant", "content": said}, {"role": "user", "content": text(30, generator)}]
    second, next_usage, _, _ = stream(conversation, 4)
    cached = next_usage["prompt_tokens_details"]["cached_tokens"]
    print(
        f"first turn of {usage['prompt_tokens']} tokens: {first[0]:.2f} s to the first token; second turn, {cached} of"
        f" {next_usage['prompt_tokens']} from the cache: {second[0]:.2f} s, {100 * second[0] / first[0]:.1f} %",
        flush=True,
    )


def seconds_in_steps():
    connection = http.client.HTTPConnection(ADDRESS)
    connection.request("GET", "/metrics")
    for line in connection.getresponse().read().decode().splitlines():
        if line.startswith("atoll_step_duration_seconds_sum"):
            return float(line.split()[-1])
    sys.exit("serving: no atoll_step_duration_seconds in /metrics")


def together(count, generator):
    """Tokens a second from the time on at which all have their first, until the first has its last; and the part of all the time
    that was not spent in steps."""
    results = [None] * count

    def run(i, prompt):
        results[i] = stream([{"role": "user", "content": prompt}], 128)

    threads = [threading.Thread(target=run, args=(i, text(20, generator))) for i in range(count)]
    before = seconds_in_steps()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    in_steps = seconds_in_steps() - before
    absolute = [[begin + t for t in times] for times, _, _, begin in results]
    start, end = max(times[0] for times in absolute), min(times[-1] for times in absolute)
    rate = sum(start < t <= end for times in absolute for t in times) / (end - start)
    everything = max(times[-1] for times in absolute) - min(begin for *_, begin in results)
    return rate, 1 - in_steps / everything


TOKENS_OF_A_WORD = tokens_of_a_word()


def main():
    generator = random.Random(1)
    together(2, generator)  # so that the server's code is compiled
    for _ in range(ROUNDS):
        turns(generator)
    for count in (1, 16):
        measured = [together(count, generator) for _ in range(ROUNDS)]
        rates = sorted(rate for rate, _ in measured)
        outside = statistics.median(share for _, share in measured)
        print(
            f"{count} together: {statistics.median(rates):.1f} tokens/s ({rates[0]:.1f} to {rates[-1]:.1f}),"
            f" {100 * outside:.1f} % of the time outside of steps",
            flush=True,
        )


main()

"""Tokens a second of the demo model at batch 1 over real links, with the round trips beside them: scripts/netns rate.

Runs in the first host's network; ATOLL_HOSTS names the namespaces, ATOLL_PING measures a round trip, ATOLL is the command.
Clusters that are compared are all up and are asked in turn, so that what else the machine does spreads over them.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

PROMPTS = ["Tell me a story.", "Tell me a story about a cat.", "What is the capital of France?", "Say hello in Korean."]
LAYERS = 8  # of the demo model, one dispatch each
WARM_UP = 6


class Cluster:
    """Processes of one cluster: a coordinator on the first host, workers on the others or, `local`, beside it."""

    def __init__(self, number, hosts, workers, local, drafter, directory):
        self.name = f"{'one host' if local else 'links'}, {drafter}"
        self.local = local
        self.drafter = drafter
        self.port = 8000 + number
        self.processes = []
        self.logs = []
        self.rates = []
        lines = [
            f"cluster-id: netns-{number}",
            f"model: '{os.path.join(os.environ['ATOLL_HOME'], 'demo-model')}'",
            "security: {insecure: true}",
            f"coordinator: {{listen: '10.99.0.1:{self.port}'}}",
            f"attention-worker: {{speculation: {{drafter: '{drafter}'}}}}",
            "expert-workers:",
        ]
        for i in range(workers):
            host = 1 if local else i + 2
            lines.append(f"  - {{name: w{i}, address: '10.99.0.{host}:{7000 + 10 * number + i}', threads: 1}}")
        self.config = os.path.join(directory, f"cluster-{number}.yaml")
        with open(self.config, "w") as file:
            file.write("\n".join(lines) + "\n")
        for i in range(workers):
            self.start(hosts[0 if local else i + 1], directory, f"{number}-w{i}", "expert-worker", f"--name=w{i}")
        self.start(hosts[0], directory, f"{number}-coordinator", "coordinator")

    def start(self, host, directory, name, role, *arguments):
        self.logs.append(os.path.join(directory, name + ".log"))
        with open(self.logs[-1], "w") as log:
            command = ["ip", "netns", "exec", host, os.environ["ATOLL"], role, f"--config={self.config}", *arguments]
            self.processes.append(subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL))

    def url(self, path):
        return f"http://10.99.0.1:{self.port}{path}"

    def await_ready(self):
        end = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(self.url("/health/ready"), timeout=5).close()
                return
            except (urllib.error.URLError, OSError):
                if time.monotonic() > end or any(p.poll() is not None for p in self.processes):
                    self.fail()
                time.sleep(0.2)

    def fail(self):
        with open(self.logs[-1]) as log:
            sys.exit(f"rate: the cluster '{self.name}' did not become ready; its coordinator said:\n" + "".join(line for line in log.readlines()[-200:] if not line.startswith("\tat ")))

    def answer(self, prompt):
        """Text, tokens after the first, and the seconds that they took."""
        body = {"model": "demo-model", "stream": True, "temperature": 0, "max_tokens": 300,
                "stream_options": {"include_usage": True}, "messages": [{"role": "user", "content": prompt}]}
        request = urllib.request.Request(self.url("/v1/chat/completions"), json.dumps(body).encode(),
                                         {"Content-Type": "application/json"})
        text, first, last, tokens = "", None, None, 0
        with urllib.request.urlopen(request, timeout=120) as response:
            for line in response:
                if not line.startswith(b"data: {"):
                    continue
                event = json.loads(line[6:])
                tokens = (event.get("usage") or {}).get("completion_tokens", tokens)
                for choice in event["choices"]:
                    delta = choice["delta"]
                    piece = delta.get("content") or delta.get("reasoning_content") or delta.get("reasoning") or ""
                    if piece:
                        text += piece
                        last = time.monotonic()
                        first = first or last
        return text, tokens - 1, last - first

    def measure(self):
        answers = [self.answer(prompt) for prompt in PROMPTS]
        self.rates.append(sum(a[1] for a in answers) / sum(a[2] for a in answers))
        return [a[0] for a in answers]

    def accepted(self):
        metrics = urllib.request.urlopen(self.url("/metrics"), timeout=10).read().decode()
        found = {name: sum(float(v) for v in re.findall(rf"^atoll_{name}_tokens_total(?:{{.*}})? (\S+)$", metrics, re.M))
                 for name in ("drafted", "accepted")}
        return found["accepted"] / found["drafted"] if found["drafted"] else 0

    def stop(self):
        for process in reversed(self.processes):
            process.terminate()
        for process in reversed(self.processes):
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()


def round_trip():
    """Median milliseconds from the first host to the second."""
    output = subprocess.run([os.environ["ATOLL_PING"], "ping", "10.99.0.2"], capture_output=True, text=True, check=True).stdout
    return float(re.search(r"round trip ([\d.]+) ms", output).group(1))


def main():
    parser = argparse.ArgumentParser(prog="scripts/netns rate", description=__doc__.splitlines()[0])
    parser.add_argument("--drafters", default="off", help="such as off,mtp,ngram; the first is compared with the others")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    hosts = os.environ["ATOLL_HOSTS"].split()
    workers = len(hosts) - 1
    drafters = options.drafters.split(",")
    clusters = []
    with tempfile.TemporaryDirectory() as directory:
        try:
            places = [(True, drafters[0])] + [(False, drafter) for drafter in drafters]
            for number, (local, drafter) in enumerate(places):
                clusters.append(Cluster(number, hosts, workers, local, drafter, directory))
                clusters[-1].await_ready()
            for cluster in clusters:
                for i in range(WARM_UP):
                    cluster.answer(PROMPTS[i % len(PROMPTS)])
            before = round_trip()
            texts = None
            for _ in range(options.rounds):
                for cluster in clusters:
                    answers = cluster.measure()
                    texts = texts or answers
                    if answers != texts:
                        sys.exit(f"rate: '{cluster.name}' gave other tokens")
            report(clusters, workers, (before + round_trip()) / 2)
        finally:
            for cluster in clusters:
                cluster.stop()


def report(clusters, workers, trip):
    print(f"{workers} workers, round trip {trip:.3f} ms, {LAYERS} a step; all answers equal")
    for cluster in clusters:
        rate = statistics.median(cluster.rates)
        print(f"{cluster.name:16} {rate:7.1f} tokens/s ({min(cluster.rates):.1f} to {max(cluster.rates):.1f}), {1000 / rate:6.2f} ms a token"
              + (f", {100 * cluster.accepted():.0f} % of drafts accepted" if cluster.drafter != "off" else ""))
    local, links = (1000 / statistics.median(cluster.rates) for cluster in clusters[:2])
    predicted = local + LAYERS * trip
    print(f"predicted: {local:.2f} ms on one host + {LAYERS} x {trip:.3f} ms = {predicted:.2f} ms; measured {links:.2f} ms, {100 * (links / predicted - 1):+.0f} %")
    base = statistics.median(clusters[1].rates)
    for cluster in clusters[2:]:
        ratios = [fast / slow for fast, slow in zip(cluster.rates, clusters[1].rates)]
        print(f"{cluster.drafter} over {clusters[1].drafter}: {statistics.median(cluster.rates) / base:.2f} times, in pairs {min(ratios):.2f} to {max(ratios):.2f}")


main()

"""Load test of ``gancli serve`` on loopback: throughput beside ``gancli sample``, latency, and hostile requests.

Images per second of CPU time say what the service costs, even on a machine that is busy with other work. The whole test
takes about two minutes of one core, and no request leaves this machine. Results are in benchmarks/serve.json.
"""

import argparse
import http.client
import json
import os
import platform
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import torch

from gancli import recipes
from gancli.artifacts import network_file
from gancli.artifacts.network_file import NetworkFile, Origin
from gancli.config.sample_command import Sampling
from gancli.machine import cores
from gancli.recipes.base import Spec
from gancli.sampling import output
from gancli.sampling.plan import plan_sample
from gancli.sampling.stamping import Stamp

RESULTS = Path(__file__).with_suffix(".json")
SPEC = Spec(3, 32, 32)
HEADERS = {"Content-Type": "application/json"}
LOADS = {"1 image, 1 client": (1, 1), "1 image, 16 clients": (16, 1), "16 images, 8 clients": (8, 16)}
"""Clients, and images per request."""
SAMPLED = 2048
HOSTILE_CLIENTS = 4


@dataclass(frozen=True)
class Server:
    """A running service."""

    process: subprocess.Popen[str]
    port: int

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def metric(self, name: str) -> float:
        connection = self.connect()
        connection.request("GET", "/metrics")
        (value,) = re.findall(rf"^{name} (\S+)$", connection.getresponse().read().decode(), re.MULTILINE)
        return float(value)


def write_generator(path: Path) -> Path:
    """A DCGAN whose weights are new; what it draws costs the same as from a trained one."""
    recipe = recipes.find("dcgan")().fitted(SPEC, 1000, 100_000)
    network, _ = recipe.networks(SPEC)
    origin = Origin("dcgan", asdict(recipe), SPEC, (), "none", "0" * 16)
    network_file.save(path, NetworkFile("generator", origin, 0, 0, network.state_dict()))
    return path


@contextmanager
def serving(ckpt: Path) -> Iterator[Server]:
    words = [sys.executable, "-m", "gancli", "serve", f"model={ckpt}", "--port", "0", "--json", "--quiet"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            page = json.loads(process.stdout.readline())["page"]
            yield Server(process, int(page.rstrip("/").rpartition(":")[2]))
        finally:
            process.send_signal(signal.SIGTERM)


def sampled(ckpt: Path, folder: Path) -> dict[str, float]:
    """Speed of ``gancli sample`` into a folder."""
    drawing = plan_sample(Sampling(ckpt, n=SAMPLED, device="cpu"))
    began, cpu = time.perf_counter(), time.process_time()
    output.write(output.target(f"{folder}/", True), drawing.batches, drawing.numbers, None, Stamp(drawing.mark))
    return {
        "images_per_s": round(SAMPLED / (time.perf_counter() - began), 1),
        "images_per_cpu_s": round(SAMPLED / (time.process_time() - cpu), 1),
    }


def loaded(server: Server, clients: int, images: int, seconds: float) -> dict[str, float]:
    """Latency and throughput while so many clients each ask for images again and again."""
    taken: list[float] = []
    until = time.perf_counter() + seconds
    cpu = server.metric("process_cpu_seconds_total")

    def client(number: int) -> None:
        connection, first = server.connect(), number * 10**6
        while time.perf_counter() < until:
            began = time.perf_counter()
            connection.request("POST", "/v1/images", json.dumps({"numbers": f"{first}-{first + images - 1}"}), HEADERS)
            response = connection.getresponse()
            response.read()
            assert response.status == 200, response.status
            taken.append(time.perf_counter() - began)
            first += images

    began = time.perf_counter()
    in_threads(clients, client)
    passed, cpu = time.perf_counter() - began, server.metric("process_cpu_seconds_total") - cpu
    drawn = len(taken) * images
    return {
        "requests": len(taken), "median_ms": round(1000 * median(taken), 1),
        "p95_ms": round(1000 * quantiles(taken, n=20)[-1], 1), "images_per_s": round(drawn / passed, 1),
        "images_per_cpu_s": round(drawn / cpu, 1),
    }  # fmt: skip


def in_threads(count: int, work: Callable[[int], None]) -> None:
    failures: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


NASTY: list[Any] = [
    None, True, -1, 0, 1e308, float("nan"), float("inf"), 10**30, 2**63, "", "0-99999999", "../../etc/passwd",
    "\x00", "é", "\ud800", "9" * 4000, [], [[]], [None], ["a"], [1] * 5000, {}, {"a": {"b": []}}, "<script>", "%00",
    "-5", "1,,2", "1e9",
]  # fmt: skip
FIELDS = ("model", "seed", "numbers", "classes", "truncation", "interpolate", "frame", "format", "path", "__class__")
PATHS = (
    "/v1/images",
    "/v1/images/../../etc/passwd",
    "/%2e%2e/etc/passwd",
    "/v1/model?name=../gen.pth",
    "//",
    "/gen.pth",
)
RAW = (b"", b"[", b"{", b"null", b"[" * 20_000, b'{"a":' * 9000, b"\xff\xfe\x00", b"9" * 6000, b" " * 70_000, b"{}{}")


def hostile_request(source: random.Random) -> tuple[str, str, bytes]:
    """Method, path and body of a request that is wrong in one way or another."""
    method = source.choices(("POST", "GET", "PUT", "DELETE"), (8, 1, 0.5, 0.5))[0]
    path = source.choices(PATHS, (20, 1, 1, 1, 1, 1))[0]
    if source.random() < 0.3:
        return method, path, source.choice(RAW)
    body = {source.choice(FIELDS): source.choice(NASTY) for _ in range(source.randint(1, 4))}
    return method, path, json.dumps(body).encode()


def attacked(server: Server, count: int) -> dict[str, Any]:
    """Statuses of hostile requests, and what they leave behind."""
    statuses: Counter[int] = Counter()

    def attack(requests: int, seed: int) -> None:
        source, connection = random.Random(seed), server.connect()
        for _ in range(requests):
            method, path, body = hostile_request(source)
            connection.request(method, path, body, HEADERS if source.random() < 0.95 else {})
            response = connection.getresponse()
            content = response.read()
            assert b"root:" not in content and b"Traceback" not in content
            statuses[response.status] += 1

    attack(500, 0)  # until every cache is warm
    before = {name: server.metric(f"process_{name}") for name in ("resident_memory_bytes", "open_fds")}
    statuses.clear()
    in_threads(HOSTILE_CLIENTS, lambda number: attack(count // HOSTILE_CLIENTS, 1 + number))
    grown = {name: server.metric(f"process_{name}") - value for name, value in before.items()}
    assert server.metric("gancli_requests_in_work") == 0
    return {
        "requests": statuses.total(), "statuses": {str(status): n for status, n in sorted(statuses.items())},
        "memory_grown_mib": round(grown["resident_memory_bytes"] / 2**20, 1), "files_grown": int(grown["open_fds"]),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each load")
    parser.add_argument("--hostile", type=int, default=10_000, help="hostile requests")
    given = parser.parse_args()
    results: dict[str, Any] = {
        "date": f"{date.today()}", "machine": cores.processor(), "cores": os.cpu_count(), "torch": torch.__version__,
        "python": platform.python_version(), "busy": [round(each, 1) for each in os.getloadavg()],
        "generator": f"dcgan, {SPEC.shape}",
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        ckpt = write_generator(Path(folder) / "gen.pth")
        results["sample"] = sampled(ckpt, Path(folder) / "images")
        with serving(ckpt) as server:
            results["load"] = {name: loaded(server, *load, given.seconds) for name, load in LOADS.items()}
            results["hostile"] = attacked(server, given.hostile)
        results["exit_code"] = server.process.returncode
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))
    assert not any(int(status) >= 500 for status in results["hostile"]["statuses"])


if __name__ == "__main__":
    main()

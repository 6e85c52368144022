"""The suite's tests that need a GPU, each failure's message kept as it happens."""

import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

from gpu_rows import ROOT, Asked, Row, Tasks

HERE = Path(__file__).parent


def tests(asked: Asked) -> Tasks:
    """Tests with CUDA in their name, file by file: the quick ones, then those that compile, which are marked slow."""
    speaking = [path for path in (ROOT / "tests").rglob("test_*.py") if "cuda" in path.read_text()]
    needing = [path for path in speaking if "cuda" in path.name or "cuda.is_available" in path.read_text()]
    if asked.tiny:
        needing = [path for path in needing if path.name == "test_cuda_graph.py"]
    tasks: Tasks = {}
    for marks, ending in (("not slow", ""), ("slow", ", slow")):
        for path in sorted(needing):
            name = path.relative_to(ROOT / "tests").as_posix() + ending
            tasks[name] = partial(_test, path, marks, asked)
    return tasks


def _test(path: Path, marks: str, asked: Asked) -> Row:
    """Counts of results, and what failed; so much as is known, if the time is over first."""
    stem = f"tests-{path.stem}-{marks.replace(' ', '-')}"
    log, failures = asked.files / f"{stem}.log", asked.files / f"{stem}.failures"
    failures.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", str(path), "-k", "cuda", "-m", marks, "-o", "addopts=", "-v"]
    command += ["--tb=short", "-p", "instant_failures"]
    if not asked.tiny:
        workers = max(4, (os.cpu_count() or 1) // 2)
        command += ["--numprocesses", str(workers), "--timeout", str(max(1, int(asked.seconds_left)))]
    python_path = os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"PYTHONPATH": python_path, "INSTANT_FAILURES": str(failures)}
    environment.pop("PYTEST_XDIST_WORKER", None)  # where a worker of another run of tests calls this
    with log.open("w") as file:
        process = subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT, env=environment)
        try:
            code: int | str = process.wait(timeout=max(1.0, asked.seconds_left - 5))
        except subprocess.TimeoutExpired:
            process.kill()
            code = "cut off"
    results = re.findall(r"\b(PASSED|FAILED|SKIPPED|ERROR)\b(?= \S*::|\s+\[)", log.read_text())
    counts = {word.lower(): results.count(word) for word in ("PASSED", "FAILED", "SKIPPED", "ERROR")}
    messages = failures.read_text().split("\0")[:-1] if failures.exists() else []
    return {**counts, "exit_code": code, "failures": messages}

"""Which library multiplies float32 matrices on the CPU: torch's default (MKL on x86) or oneDNN.

On some processors oneDNN is twice as fast at the same error, on others no faster, and on those with units for bfloat16
it would round to that. So both are tried, once for each processor, and the answer is kept in the user's cache: a run
must not change its arithmetic because the machine was busy when it was resumed.
"""

import contextlib
import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import torch
from torch.nn.functional import linear

from gancli.files.atomic import write_text_atomically
from gancli.files.user_cache import user_cache

Library = Literal["default", "onednn"]
SHAPES = ((128, 784, 512), (64, 512, 784), (512, 128, 784))
"""Rows, inputs and outputs of the products that are timed, those of perceptrons for small pictures."""
MOST_ERROR = 1e-5
"""Relative to the largest entry of the exact product."""
LEAST_GAIN = 1.05
ROUNDS = 15


def use(library: Library) -> bool:
    """Multiply float32 matrices on the CPU with this library from now on; False, and nothing done, if it cannot.

    It cannot where this torch has no such choice, or oneDNN's error is more than `MOST_ERROR`.
    """
    if not hasattr(getattr(torch.backends.mkldnn, "matmul", None), "fp32_precision"):
        return library == "default"
    _set(library)
    if library == "onednn" and max(error(*shape) for shape in SHAPES) > MOST_ERROR:
        _set("default")
        return False
    return True


@contextlib.contextmanager
def restored() -> Iterator[None]:
    """Leave the choice as it was."""
    matmul = getattr(torch.backends.mkldnn, "matmul", None)
    before = getattr(matmul, "fp32_precision", None)
    try:
        yield
    finally:
        if before is not None:
            matmul.fp32_precision = before  # type: ignore[union-attr]


def best(processor: str) -> Library:
    """The library that is clearly faster here with as many threads as torch has now, tried once for a processor."""
    cache = user_cache("products.json")
    known = _read(cache)
    key = f"{processor}, torch {torch.__version__}, {torch.get_num_threads()} threads, from {LEAST_GAIN}"
    if key not in known:
        known[key] = "onednn" if gain() >= LEAST_GAIN else "default"
        with contextlib.suppress(OSError):
            cache.parent.mkdir(parents=True, exist_ok=True)
            write_text_atomically(cache, json.dumps(known, indent=1) + "\n")
    return "onednn" if known[key] == "onednn" else "default"


def gain() -> float:
    """How many times faster oneDNN is than the default, or 0 if it cannot be used; the best times count."""
    with restored():
        if not use("onednn"):
            return 0.0
        seconds: dict[Library, float] = {"default": 0.0, "onednn": 0.0}
        for shape in SHAPES:
            fastest: dict[Library, float] = {}
            for _ in range(ROUNDS):
                for library in seconds:
                    _set(library)
                    fastest[library] = min(fastest.get(library, float("inf")), _seconds(*shape))
            seconds = {library: total + fastest[library] for library, total in seconds.items()}
    return seconds["default"] / seconds["onednn"]


def bf16_gain() -> float:
    """How many times faster bfloat16 matrices are multiplied than float32 ones, as that is done now.

    Where a processor emulates them, or has few units for them, it is less than 1.
    """
    fastest = {torch.float32: math.inf, torch.bfloat16: math.inf}
    for _ in range(ROUNDS // 3):
        for dtype in fastest:
            fastest[dtype] = min(fastest[dtype], sum(_seconds(*shape, dtype=dtype) for shape in SHAPES))
    return fastest[torch.float32] / fastest[torch.bfloat16]


def error(rows: int, inputs: int, outputs: int) -> float:
    """Largest error of a product as it is computed now, relative to the largest entry."""
    left, right = _factors(rows, inputs, outputs)
    exact = linear(left.double(), right.double())
    return float((linear(left, right).double() - exact).abs().max() / exact.abs().max())


def _set(library: Library) -> None:
    # "bf16" allows oneDNN to round, which it does only where the processor has units for it; else it is exact
    torch.backends.mkldnn.matmul.fp32_precision = "bf16" if library == "onednn" else "none"  # type: ignore[attr-defined]


def _seconds(rows: int, inputs: int, outputs: int, dtype: torch.dtype = torch.float32) -> float:
    left, right = (factor.to(dtype) for factor in _factors(rows, inputs, outputs))
    linear(left, right)
    began = time.perf_counter()
    for _ in range(4):
        linear(left, right)
    return time.perf_counter() - began


def _factors(rows: int, inputs: int, outputs: int) -> tuple[torch.Tensor, torch.Tensor]:
    drawn = torch.Generator().manual_seed(0)
    return torch.randn(rows, inputs, generator=drawn), torch.randn(outputs, inputs, generator=drawn)


def _read(cache: Path) -> dict[str, str]:
    try:
        found = json.loads(cache.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}

"""Choose the library for float32 matrix products on the CPU: torch's default (MKL on x86) or oneDNN.

On some processors oneDNN is twice as fast with the same error, on others it is not. With bfloat16 units it would round
to bfloat16. Both libraries are timed once per processor. The choice is kept in the user's cache, so that a resumed run
does not change its arithmetic because the machine was busy.
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
"""Rows, inputs and outputs of the timed products, as in perceptrons for small pictures."""
MAX_ERROR = 1e-5
"""Largest error, relative to the largest entry of the exact product."""
MIN_GAIN = 1.05
"""Speedup from which oneDNN is chosen."""
ROUNDS = 15
"""Timed repetitions, of which the fastest counts."""


def use(library: Library) -> bool:
    """Use this library for float32 matrix products on the CPU from now on; False if that is impossible.

    It is if this torch offers no choice, or if oneDNN's error is more than `MAX_ERROR`.
    """
    if not hasattr(getattr(torch.backends.mkldnn, "matmul", None), "fp32_precision"):
        return library == "default"
    _set(library)
    if library == "onednn" and max(error(*shape) for shape in SHAPES) > MAX_ERROR:
        _set("default")
        return False
    return True


@contextlib.contextmanager
def restored() -> Iterator[None]:
    """Restore the choice at the end."""
    matmul = getattr(torch.backends.mkldnn, "matmul", None)
    before = getattr(matmul, "fp32_precision", None)
    try:
        yield
    finally:
        if before is not None:
            matmul.fp32_precision = before  # type: ignore[union-attr]


def best(processor: str) -> Library:
    """The library that is clearly faster with torch's number of threads, timed once for each processor."""
    cache = user_cache("products.json")
    known = _read(cache)
    key = f"{processor}, torch {torch.__version__}, {torch.get_num_threads()} threads, from {MIN_GAIN}"
    if key not in known:
        known[key] = "onednn" if gain() >= MIN_GAIN else "default"
        with contextlib.suppress(OSError):
            cache.parent.mkdir(parents=True, exist_ok=True)
            write_text_atomically(cache, json.dumps(known, indent=1) + "\n")
    return "onednn" if known[key] == "onednn" else "default"


def gain() -> float:
    """The speedup of oneDNN over the default, by the best times; 0 if it cannot be used."""
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
    """The speedup of bfloat16 matrix products over float32 ones with the current library.

    It is below 1 if the processor emulates bfloat16 or has few units for it.
    """
    fastest = {torch.float32: math.inf, torch.bfloat16: math.inf}
    for _ in range(ROUNDS // 3):
        for dtype in fastest:
            fastest[dtype] = min(fastest[dtype], sum(_seconds(*shape, dtype=dtype) for shape in SHAPES))
    return fastest[torch.float32] / fastest[torch.bfloat16]


def error(rows: int, inputs: int, outputs: int) -> float:
    """The largest error of a product with the current library, relative to the largest entry."""
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
        choices = json.loads(cache.read_text())
    except (OSError, ValueError):
        return {}
    return choices if isinstance(choices, dict) else {}

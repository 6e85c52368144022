"""Decide whether a run compiles its step, by timing both ways in long runs.

Compiling takes seconds to minutes. It saves between nothing and half of a step's time, depending on processor,
libraries and networks. The run records the decision: compiled code rounds differently, so a resume must not decide
again. Compiled code is kept in the user's cache.
"""

import logging
import math
import os
import statistics
import time
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from gancli.files.user_cache import user_cache
from gancli.machine import devices
from gancli.runs import waiting
from gancli.steps.step import Step

log = logging.getLogger(__name__)
Way = Literal["on", "off"]
MIN_STEPS = 5_000
MIN_SECONDS = {"cpu": 300.0, "cuda": 300.0}
"""No trial in a shorter run, of which it would take too large a part."""
MIN_GAIN = 1.05
"""Ratio of times from which compiling is worth it."""
TRIED = 3
"""Steps after which both ways must agree, and everything is compiled."""
ROUNDS = 7
"""Measurements of each way, of which the median counts."""
MAX_DIFFERENCE = 0.05
"""Largest difference of a loss or logit after `TRIED` steps; rounding causes far less, even in bfloat16."""


def choose(asked: Literal["auto", "on", "off"], planned: int, build: Callable[[Way], Step]) -> Way:
    """Choose for a run of ``planned`` steps; logs a line if both ways were tried.

    ``build`` makes a new step, whose state the trial uses up. "on" is refused only if compilation fails or changes the
    losses.
    """
    if asked == "off" or (asked == "auto" and planned < MIN_STEPS):
        return "off"
    plain = build("off")
    with waiting.told("compile: timing steps that are not compiled"):
        expected = [plain() for _ in range(TRIED)]
        estimate = planned * seconds_of(plain)
    if asked == "auto" and estimate < MIN_SECONDS.get(plain.setup.noise.device.type, math.inf):
        return "off"
    log.info("compile: %s the step, which may take minutes", "compiling" if asked == "on" else "trying to compile")
    began, compiled = time.perf_counter(), build("on")
    with waiting.told("compile: compiling"):
        reason = _failure(compiled, expected)
    if reason is not None:
        log.log(logging.INFO if asked == "auto" else logging.WARNING, "compile: off, since %s.", reason)
        return "off"
    took = time.perf_counter() - began
    if asked == "on":
        log.info("compile: on (%.0f s)", took)
        return "on"
    with waiting.told("compile: timing steps of both kinds"):
        gain = _gain(plain, compiled)
    pays = gain >= MIN_GAIN and estimate * (1 - 1 / gain) > took
    log.info("compile: %s, a compiled step is %.2f times as fast here", "on" if pays else "off", gain)
    return "on" if pays else "off"


def use_cache() -> None:
    """Keep compiled code in the user's cache, unless TORCHINDUCTOR_CACHE_DIR is set."""
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(user_cache("compiled")))


def _failure(compiled: Step, expected: list[dict[str, Tensor]]) -> str | None:
    """Why compilation failed or changed the losses; None if it worked."""
    use_cache()
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # it warns if there is no CUDA
    torch.compiler.reset()
    try:
        measured = [compiled() for _ in expected]
    except Exception as error:  # compilers fail in many ways: not installed, no memory, unsupported code
        return f"the step cannot be compiled here ({_first_line(error)})"
    for ours, theirs in zip(measured, expected, strict=True):
        for name, value in theirs.items():
            if not torch.allclose(ours[name], value, MAX_DIFFERENCE, MAX_DIFFERENCE, equal_nan=True):
                return f"the compiled step gives another {name}"
    return None


def _gain(plain: Step, compiled: Step) -> float:
    """Speed of the compiled step relative to the plain one: a ratio of medians, measured in turns."""
    turns = [(seconds_of(plain), seconds_of(compiled)) for _ in range(ROUNDS)]
    before, after = (statistics.median(column) for column in zip(*turns, strict=True))
    return before / after


def seconds_of(step: Step, multiple: int = 1) -> float:
    """Wall-clock seconds of a step, a mean over at least 0.2 s and a multiple of so many steps."""
    device, count = step.setup.noise.device, 0
    devices.synchronise(device)
    began = time.perf_counter()
    while count < 2 or count % multiple or time.perf_counter() - began < 0.2:
        step()
        count += 1
    devices.synchronise(device)
    return (time.perf_counter() - began) / count


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:120]}" if lines else type(error).__name__

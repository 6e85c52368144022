"""Choose the device, the number of threads, and whether results repeat exactly."""

import contextlib
import logging
import os
import re
import sys
from collections.abc import Iterator
from typing import TypeVar

import torch
from torch import nn

from gancli.errors import UsageError
from gancli.machine import cores

log = logging.getLogger(__name__)
SMALL_PIXELS = 400
"""Smaller images are trained with one thread."""
"""Smaller images are trained with one thread."""
Network = TypeVar("Network", bound=nn.Module)


def select(name: str) -> torch.device:
    """The device named ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``; UsageError if there is none.

    ``auto`` takes the first CUDA device, otherwise Apple's, otherwise the CPU, and logs which.
    """
    if name == "auto":
        device = torch.device(_best())
        log.info("device: %s (chosen by --device auto)", describe(device))
        return device
    if name == "cpu":
        return torch.device("cpu")
    if name == "mps":
        if not torch.backends.mps.is_available():
            raise UsageError("--device mps: this machine or this torch has no Metal; use --device auto.")
        return torch.device("mps")
    if re.fullmatch(r"cuda(:\d+)?", name):
        return _cuda(name)
    raise UsageError(f"--device {name!r} is not a device; choose auto, cpu, cuda, cuda:N or mps.")


def describe(device: torch.device) -> str:
    """The device with its hardware's name, if torch knows it."""
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)


def place(network: Network, device: torch.device) -> Network:
    """Move the network to the device, in channels-last order, which is faster for convolutions."""
    return network.to(device).to(memory_format=torch.channels_last)


def default_threads(height: int, width: int) -> int:
    """CPU threads for images of this size: ``OMP_NUM_THREADS`` if set, 1 for small images, else `cores.available`.

    Below 400 pixels a second thread does not help, and is several times slower if another process uses the core. The
    number depends on the size, not on a measurement, because results depend on it.
    """
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdecimal() and int(given) > 0:
        return int(given)
    return 1 if height * width < SMALL_PIXELS else cores.available()


def make_deterministic(enabled: bool) -> None:
    """Refuse operations whose results differ from run to run, or allow them again."""
    if enabled:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(enabled)


def prefer_speed(device: torch.device, deterministic: bool) -> None:
    """Make fp32 fast on CUDA: TF32 for matrix products, and the fastest convolution algorithms.

    cuDNN times the algorithms and may choose others the next time, so this is off if results must repeat.
    """
    if device.type == "cuda":
        _allow_tf32("tf32")
        torch.backends.cudnn.benchmark = not deterministic


@contextlib.contextmanager
def restored() -> Iterator[None]:
    """Restore the settings of `prefer_speed` at the end of this context."""
    before = torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.benchmark
    try:
        yield
    finally:
        if torch.backends.cuda.matmul.fp32_precision != before[0]:
            _allow_tf32(before[0])
        torch.backends.cudnn.benchmark = before[1]


def _allow_tf32(precision: str) -> None:
    """Set the precision of fp32 products under both of torch's names, as reading one fails if they disagree."""
    matmul = torch.backends.cuda.matmul
    matmul.allow_tf32 = precision == "tf32"
    matmul.fp32_precision = precision


def _best() -> str:
    if torch.cuda.is_available():
        return "cuda:0"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _cuda(name: str) -> torch.device:
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    index = int(name.partition(":")[2] or 0)
    if index >= count:
        available = f"only cuda:0 to cuda:{count - 1}" if count else "no CUDA device"
        raise UsageError(f"--device {name}: this machine has {available}; use --device auto or cpu.")
    return torch.device("cuda", index)


def has_room(device: torch.device, wanted: int) -> bool:
    """Return True if this many bytes need at most half of the device's free memory; always true on the CPU."""
    return device.type != "cuda" or 2 * wanted <= torch.cuda.mem_get_info(device)[0]


def sent(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Copy a CPU tensor to the device without waiting; only pinned memory allows that."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def synchronise(device: torch.device) -> None:
    """Wait until the device has finished all work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def peak_memory(device: torch.device) -> int:
    """Peak memory in bytes: of the allocator on CUDA, otherwise of this process; 0 if unknown."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

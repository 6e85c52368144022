"""Where the arithmetic happens: the device, its threads and whether its results repeat exactly."""

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
Network = TypeVar("Network", bound=nn.Module)


def select(name: str) -> torch.device:
    """The device called ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``; UsageError if it is not there.

    ``auto`` takes the first CUDA device, else Apple's, else the CPU, and logs which.
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
    """The device with the name of its hardware, where torch knows it."""
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)


def place(network: Network, device: torch.device) -> Network:
    """The network on the device, weights of convolutions with their channels last, which is the faster order."""
    return network.to(device).to(memory_format=torch.channels_last)


def default_threads(height: int, width: int) -> int:
    """CPU threads for images of this size: ``OMP_NUM_THREADS`` if set, else all `cores.available`; one for small ones.

    Under 400 pixels a second thread gains nothing, and costs several-fold where another process uses the core.
    It is a function of the size, not of a measurement, since results depend on the number of threads.
    """
    told = os.environ.get("OMP_NUM_THREADS", "")
    if told.isdecimal() and int(told) > 0:
        return int(told)
    return 1 if height * width < SMALL_PIXELS else cores.available()


def make_deterministic(enabled: bool) -> None:
    """Make operations whose result would differ from run to run an error, or allow them again."""
    if enabled:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(enabled)


def prefer_speed(device: torch.device, deterministic: bool) -> None:
    """What makes fp32 fast on CUDA: TF32 in products, as convolutions have it already, and the fastest convolutions.

    Those are tried, which may end otherwise the next time, so not where results must repeat.
    """
    if device.type == "cuda":
        _allow_tf32("tf32")
        torch.backends.cudnn.benchmark = not deterministic


@contextlib.contextmanager
def restored() -> Iterator[None]:
    """Leave as it was what `prefer_speed` sets."""
    before = torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.benchmark
    try:
        yield
    finally:
        if torch.backends.cuda.matmul.fp32_precision != before[0]:
            _allow_tf32(before[0])
        torch.backends.cudnn.benchmark = before[1]


def _allow_tf32(precision: str) -> None:
    """Set what may multiply fp32 on CUDA by its older name as well, since asking by that fails if they contradict."""
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
        found = f"only cuda:0 to cuda:{count - 1}" if count else "no CUDA device"
        raise UsageError(f"--device {name}: this machine has {found}; use --device auto or cpu.")
    return torch.device("cuda", index)


def has_room(device: torch.device, wanted: int) -> bool:
    """Whether so many bytes of data fit on the device and leave it half of what is free; the CPU maps what it lacks."""
    return device.type != "cuda" or 2 * wanted <= torch.cuda.mem_get_info(device)[0]


def sent(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A CPU's tensor on the device, without waiting for what that has to do: a copy of memory not pinned would."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def synchronise(device: torch.device) -> None:
    """Wait until the device has done all it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def peak_memory(device: torch.device) -> int:
    """Most bytes in use so far: of the device's allocator on CUDA, else of this process; 0 where unknown."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

"""How much memory there is, and how much a piece of work took, where that can be told beforehand or afterwards."""

import gc
from pathlib import Path

import torch

STATUS, RESET, FREE = Path("/proc/self/status"), Path("/proc/self/clear_refs"), Path("/proc/meminfo")
GROUP = Path("/sys/fs/cgroup")


def release(device: torch.device) -> None:
    """Give back what nothing refers to any more."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def free(device: torch.device) -> int | None:
    """Bytes that this process may still take; None where only trying tells, as on CUDA, where an error is harmless.

    On Linux, a process that takes more of the CPU's memory is killed rather than told.
    """
    if device.type != "cpu" or not FREE.exists():
        return None
    found = [_kibibytes(FREE, "MemAvailable")]
    try:
        limit, used = ((GROUP / f"memory.{name}").read_text().strip() for name in ("max", "current"))
        found.append(int(limit) - int(used))
    except (OSError, ValueError):  # there is no group, or it has no limit
        pass
    return min(found)


def reset_peak() -> bool:
    """Let `peak` count from here on; False where the system keeps no such count."""
    try:
        RESET.write_text("5")
    except OSError:
        return False
    return True


def held() -> int:
    """Bytes of the CPU's memory that this process has."""
    return _kibibytes(STATUS, "VmRSS")


def peak() -> int:
    """The most of them since `reset_peak`."""
    return _kibibytes(STATUS, "VmHWM")


def _kibibytes(path: Path, name: str) -> int:
    line = next(line for line in path.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024

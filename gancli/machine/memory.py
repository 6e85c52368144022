"""Free and used memory, if the operating system reports it."""

import gc
from pathlib import Path

import torch

STATUS, RESET, FREE = Path("/proc/self/status"), Path("/proc/self/clear_refs"), Path("/proc/meminfo")
GROUP = Path("/sys/fs/cgroup")


def release(device: torch.device) -> None:
    """Free memory that nothing refers to."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def free(device: torch.device) -> int | None:
    """Free bytes for this process; None if unknown, as on CUDA, where running out is a harmless error.

    On Linux, a process that takes too much CPU memory is killed instead.
    """
    if device.type != "cpu" or not FREE.exists():
        return None
    limits = [_kibibytes(FREE, "MemAvailable")]
    try:
        limit, used = ((GROUP / f"memory.{name}").read_text().strip() for name in ("max", "current"))
        limits.append(int(limit) - int(used))
    except (OSError, ValueError):  # there is no group, or it has no limit
        pass
    return min(limits)


def reset_peak() -> bool:
    """Restart the measurement of `peak`; False if the system has no such counter."""
    try:
        RESET.write_text("5")
    except OSError:
        return False
    return True


def held() -> int:
    """Resident CPU memory of this process in bytes."""
    return _kibibytes(STATUS, "VmRSS")


def peak() -> int:
    """Peak resident CPU memory in bytes since `reset_peak`."""
    return _kibibytes(STATUS, "VmHWM")


def _kibibytes(path: Path, name: str) -> int:
    line = next(line for line in path.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024

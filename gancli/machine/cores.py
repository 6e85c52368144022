"""How many CPU cores this process may really use: what its affinity and a container's quota leave it."""

import contextlib
import math
import os
import platform
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

ROOT = Path("/")


def available() -> int:
    """Cores that threads of this process may keep busy, at least 1.

    A quota of one and a half counts as one: of two threads that work in step both would wait whenever it is used up.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.floor(min(allowed, quota(ROOT))))


def quota(root: Path) -> float:
    """Cores' worth of time that the control groups of this process leave it, infinite without a limit.

    ``root`` is the root of the file system. In version 2 of the groups every one above this process's limits it too;
    a container sees its own as the top one.
    """
    return min(_limits(root), default=math.inf)


def _limits(root: Path) -> Iterator[float]:
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, name = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = root / "sys/fs/cgroup" / ("cpu" if controllers else "")
        path = PurePosixPath(name.lstrip("/"))
        for group in [path, *path.parents]:
            with contextlib.suppress(OSError, ValueError):  # no such limit, or "max"
                yield _limit(top / group)


def _limit(group: Path) -> float:
    """The limit in a group's files, version 2's if it has one."""
    if (group / "cpu.max").exists():
        used, period = (int(word) for word in (group / "cpu.max").read_text().split())
    else:
        used, period = (int((group / f"cpu.cfs_{word}_us").read_text()) for word in ("quota", "period"))
    if used <= 0 or period <= 0:
        raise ValueError("no limit")
    return used / period


def processor() -> str:
    """The processor's name, as far as it can be told."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()

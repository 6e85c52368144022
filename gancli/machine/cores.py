"""CPU cores that this process may use, given its affinity and a container's quota."""

import contextlib
import math
import os
import platform
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

ROOT = Path("/")


def available() -> int:
    """Number of cores that this process may keep busy, at least 1.

    A quota of 1.5 counts as 1: two threads that work in step would both wait when the quota is used up.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.floor(min(allowed, quota(ROOT))))


def quota(root: Path) -> float:
    """The CPU quota of this process's control groups, in cores; infinite without a limit.

    ``root`` is the root of the file system. In cgroups version 2, all parent groups limit the process, too; a container
    sees its own group as the top.
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
    """The limit in a group's files, by version 2 if it has that."""
    if (group / "cpu.max").exists():
        used, period = (int(word) for word in (group / "cpu.max").read_text().split())
    else:
        used, period = (int((group / f"cpu.cfs_{word}_us").read_text()) for word in ("quota", "period"))
    if used <= 0 or period <= 0:
        raise ValueError("no limit")
    return used / period


def processor() -> str:
    """The processor's name, if the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()

"""The cores that a process may use, as its affinity and its control groups say."""

import math
import os
from pathlib import Path

import pytest

from gancli.machine import cores, devices


def groups(root: Path, of_process: str, **files: str) -> Path:
    """A file system in which this process is in these groups; keys are paths with ``__`` for slashes."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(of_process)
    for name, content in files.items():
        path = root / "sys/fs/cgroup" / name.replace("__", "/").replace("_max", ".max").replace("cpu_cfs", "cpu.cfs")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def test_without_control_groups_there_is_no_quota(tmp_path: Path) -> None:
    assert cores.quota(tmp_path) == math.inf


@pytest.mark.parametrize(("content", "expected"), [("150000 100000\n", 1.5), ("max 100000\n", math.inf)])
def test_a_container_sees_its_quota_at_the_top(tmp_path: Path, content: str, expected: float) -> None:
    assert cores.quota(groups(tmp_path, "0::/\n", cpu_max=content)) == expected


def test_the_tightest_of_the_groups_above_counts(tmp_path: Path) -> None:
    limits = {"a__cpu_max": "200000 100000", "a__b__cpu_max": "800000 100000", "other__cpu_max": "1000 100000"}
    assert cores.quota(groups(tmp_path, "0::/a/b\n", **limits)) == 2


@pytest.mark.parametrize(("used", "expected"), [("300000", 3.0), ("-1", math.inf)])
def test_the_older_version_is_understood(tmp_path: Path, used: str, expected: float) -> None:
    files = {"cpu__job__cpu_cfs_quota_us": used, "cpu__job__cpu_cfs_period_us": "100000"}
    found = groups(tmp_path, "4:memory:/job\n3:cpu,cpuacct:/job\n0::/\n", **files)
    assert cores.quota(found) == expected


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="no affinity here")
def test_threads_fit_what_affinity_and_quota_leave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)))
    assert devices.default_threads(64, 64) == min(8, cores.available())
    monkeypatch.setattr(cores, "ROOT", groups(tmp_path, "0::/\n", cpu_max="350000 100000"))
    assert devices.default_threads(64, 64) == 3
    (tmp_path / "sys/fs/cgroup/cpu.max").write_text("50000 100000")
    assert devices.default_threads(64, 64) == 1

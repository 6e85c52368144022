"""Shared by all tests: few threads, a cache folder of their own, and the smallest run that is a real one."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from gancli import train
from gancli.api import TrainResult
from gancli.machine import matmul

torch.set_num_threads(1)

TINY = {"steps": 12, "batch_size": 16, "log_every": 3, "save_every": 4, "sample_every": 6, "threads": 1}
"""Options of a run that takes about a second."""


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keep what commands cache away from the user's own cache, for child processes too."""
    folder = tmp_path_factory.mktemp("cache")
    os.environ["XDG_CACHE_HOME"] = str(folder)
    os.environ["COLUMNS"] = "80"
    return folder


@pytest.fixture(autouse=True)
def own_log() -> None:
    """Undo what a command of an earlier test did to the log, so that every test sees all of it."""
    logger = logging.getLogger("gancli")
    logger.handlers, logger.propagate = [], True
    logger.setLevel(logging.NOTSET)


@pytest.fixture(autouse=True)
def own_products() -> Iterator[None]:
    """Undo a test's choice of what multiplies matrices, which rounds otherwise."""
    with matmul.restored():
        yield


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """A finished run of the default recipe; tests read it and do not change it."""
    return train(out=str(tmp_path_factory.mktemp("runs")), progress="none", **TINY)


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of real data sets; tests that need it are skipped without."""
    root = os.environ.get("GANCLI_DATA_ROOT")
    if not root:
        pytest.skip("GANCLI_DATA_ROOT is not set")
    return Path(root)

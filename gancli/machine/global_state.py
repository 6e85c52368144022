"""Restore the global state of the process after a call from Python."""

import contextlib
import os
import random
from collections.abc import Iterator

import numpy as np
import torch

from gancli.machine import devices, matmul

WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"


@contextlib.contextmanager
def restored() -> Iterator[None]:
    """Leave the global state of torch, NumPy and `random` as it was; also a decorator.

    That is random generators, number of threads, determinism, and the library for matrix products.
    """
    python, numpy, workspace = random.getstate(), np.random.get_state(), os.environ.get(WORKSPACE)
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    try:
        with torch.random.fork_rng(), matmul.restored(), devices.restored():
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        if workspace is None:
            os.environ.pop(WORKSPACE, None)

"""Batches that several processes share: in float64 they end where one process ends, whatever the recipe."""

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from several_processes import after, difference

from gancli import recipes
from gancli.machine.distributed import Group

SCRIPT = Path(__file__).parents[1] / "several_processes.py"
TOLERANCE = 1e-9
Cases = dict[str, dict[str, Any]]
QUICK: Cases = {
    "batch statistics": {"recipe": "dcgan"},
    "dropout, real and generated images in one pass": {"recipe": "cgan"},
    "minibatch discrimination, virtual batch norm": {"recipe": "improved"},
    "lazy terms, mixed styles, minibatch deviation": {"recipe": "stylegan2"},
    "a penalty that draws, top-k": {"recipe": "wgan-gp", "top_k": 0.5},
    "switches": {"recipe": "vanilla", "hyperparameters": {"lecam": 0.3, "san": True, "distillation": 1.0}},
}
ALL: Cases = {name: {"recipe": name} for name in recipes.names()}
ALL |= {
    f"{name}, {policy}": {"recipe": name, "augmentation": policy}
    for name in ("vanilla", "began", "fastgan")
    for policy in ("ada", "diffaug", "diffusion")
}
ALL |= {f"{name}, top-k": {"recipe": name, "top_k": 0.5} for name in ("vanilla", "acgan", "r3gan", "pacgan")}
ALL |= {f"{name}, points": {"recipe": name, "spec": "points"} for name in ("pacgan", "unrolled", "wgan-gp")}
ALL["improved, features and history"] = {
    "recipe": "improved", "hyperparameters": {"feature_matching": True, "historical_averaging": 0.1},
}  # fmt: skip
ALL["progressive, grown"] = {"recipe": "progressive", "hyperparameters": {"grown": True}}
ALL["latent, pictures"] = {"recipe": "latent", "hyperparameters": {"trained": True, "latent_images": 16.0}}
ALL["autoencoder"] = {"recipe": "autoencoder", "batch_size": 8}
ALL["autoencoder, all stages"] = ALL["autoencoder"] | {
    "hyperparameters": {"alone_images": 64.0, "joint_images": 64.0, "latent_dim": 9, "components": 2},
}  # fmt: skip
ALL["stylegan2, labels, ada"] = {
    "recipe": "stylegan2", "hyperparameters": {"conditional": True}, "augmentation": "ada",
}  # fmt: skip
ALL["r3gan, residual"] = {"recipe": "r3gan", "spec": "colour", "hyperparameters": {"network": "residual", "width": 16}}


TORCHRUN = [sys.executable, "-m", "torch.distributed.run"]


def held_by(
    processes: int, cases: Cases, steps: int, folder: Path, launchers: int = 1
) -> dict[str, dict[str, torch.Tensor]]:
    """What rank 0 holds of each case after so many steps of real processes, under one or more launchers of torchrun."""
    out, meeting = folder / "held.pt", ["--standalone"]
    if launchers > 1:
        endpoint = f"127.0.0.1:{free_port()}"
        meeting = ["--nnodes", str(launchers), "--rdzv-backend", "c10d", "--rdzv-endpoint", endpoint]
        meeting += ["--local-addr", "127.0.0.1"]
    command = [*TORCHRUN, *meeting, "--nproc-per-node", str(processes // launchers)]
    command += [str(SCRIPT), str(out), json.dumps(cases), str(steps)]
    started = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(launchers)]
    for each in started:
        errors = each.communicate()[1]
        assert each.returncode == 0, errors[-3000:]
    return torch.load(out)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def assert_as_one_process(processes: int, cases: Cases, steps: int, folder: Path, launchers: int = 1) -> None:
    held = held_by(processes, cases, steps, folder, launchers)
    differences = {name: difference(held[name], after(steps, Group(), case)) for name, case in cases.items()}
    assert {name: found for name, found in differences.items() if not found[0] <= TOLERANCE} == {}


def test_two_processes_end_where_one_does(tmp_path: Path) -> None:
    assert_as_one_process(2, QUICK, 3, tmp_path)


@pytest.mark.slow
def test_processes_of_two_launchers_end_where_one_process_does(tmp_path: Path) -> None:
    """As on two machines, here on the loopback."""
    cases = {name: QUICK[name] for name in ("batch statistics", "a penalty that draws, top-k")}
    assert_as_one_process(2, cases, 3, tmp_path, launchers=2)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("processes", [2, 4])
def test_every_recipe_ends_where_one_process_does(processes: int, tmp_path: Path) -> None:
    """With four, groups of the minibatch deviation have images of several processes."""
    assert_as_one_process(processes, ALL, 50, tmp_path)

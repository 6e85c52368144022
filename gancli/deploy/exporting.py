"""Export a generator as a model that runs without gancli, after proving that it draws the same images."""

import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gancli.artifacts.lookup import generator_called
from gancli.config.deploy_command import Exporting
from gancli.deploy.deployed import Deployed, deployed, description, numbered_inputs
from gancli.deploy.inspection import sha256_of
from gancli.deploy.model_files import SUFFIXES, Run, content_of, require_libraries, runner, torch_runner
from gancli.deploy.proof_of_model import ModelProof, Speed, prove_model, speed_of
from gancli.errors import GancliError, UsageError, nearest
from gancli.evaluation import Evaluator
from gancli.evaluation.sources.choose_evaluator import evaluator_for
from gancli.evaluation.sources.inputs import data_of
from gancli.evaluation.sources.request import Request
from gancli.files.atomic import write_atomically
from gancli.functional.pixels import to_pixels
from gancli.sampling.generator import LoadedGenerator, load_generator

log = logging.getLogger(__name__)
CPU = torch.device("cpu")
DRAWN_AT_ONCE = 256
MAX_FD_RISE, MIN_SAVING = 0.05, 0.25
"""Shares by which fewer bits may raise the Frechet distance, and must shrink the file, to be worth having."""


@dataclass(frozen=True)
class Exported:
    """A written model and its measurements."""

    path: Path
    bytes: int
    proof: ModelProof
    torch: Speed
    """Speed of the generator in torch."""
    exported: Speed
    """Speed of the written model in onnxruntime or torch."""
    fd: tuple[float, float] | None = None
    """Frechet distances to the held-out images before and after reducing the bits; None if not measured."""
    note: str | None = None
    """Why fewer bits are not worth having, in words."""

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self) | {"path": str(self.path)}


def export(told: Exporting) -> Exported:
    """Export a generator; nothing is written unless the model draws the same images.

    Raises:
        UsageError: a setting is impossible for this generator or format, or a library is missing.
        GancliError: the model would draw other images, or its format lacks a layer.
    """
    path = Path(told.to)
    suffix = _checked_suffix(path, told)
    ckpt = generator_called(told.ckpt)
    generator = load_generator(ckpt, CPU)
    if told.uint8 and generator.file.origin.spec.is_points:
        raise UsageError("--uint8: this generator draws points in the plane, which are no pixels; remove it.")
    module = deployed(generator, told.uint8)
    proved = _proved(told, suffix, generator, sha256_of(ckpt))
    in_torch, exported = speed_of(torch_runner(module), generator), speed_of(proved.run, generator)
    fd = None if told.precision == "fp32" else _fd_before_and_after(told, generator, module, proved.run)
    write_atomically(path, lambda file: file.write(proved.content))
    size = len(proved.content)
    worth = note(told.precision, size / proved.bytes_in_float32, fd)
    return Exported(path, size, proved.proof, in_torch, exported, fd, worth)


@dataclass(frozen=True)
class _Proved:
    """A model that draws the same images, with its proof."""

    content: bytes
    run: Run
    proof: ModelProof
    bytes_in_float32: int


def _proved(told: Exporting, suffix: str, generator: LoadedGenerator, sha256: str) -> _Proved:
    """Convert and prove: always in float32, whose bounds are narrow, then with fewer bits."""
    bytes_in_float32 = 0
    for precision in dict.fromkeys(("fp32", told.precision)):
        about = description(generator, told.uint8, precision, sha256)
        content = content_of(suffix, generator, told.uint8, about, precision)
        run = runner(suffix, content, generator)
        proof = prove_model(run, generator, told.uint8, precision)
        if not proof.holds:
            raise GancliError(f"the exported model draws other images than torch ({proof}); nothing was written.")
        bytes_in_float32 = bytes_in_float32 or len(content)
    return _Proved(content, run, proof, bytes_in_float32)


def note(precision: str, share: float, fd: tuple[float, float] | None) -> str | None:
    """Why fewer bits are not worth having for this generator; None if they are, or if there are none."""
    if precision == "fp32":
        return None
    if fd is not None and fd[1] > (1 + MAX_FD_RISE) * fd[0]:
        return f"{precision} is not worth having here: it raises the FD by {fd[1] / fd[0] - 1:.0%}"
    if share > 1 - MIN_SAVING:
        return f"{precision} is not worth having here: the file is {share:.0%} of the size that it has in float32"
    return None


def _checked_suffix(path: Path, told: Exporting) -> str:
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(f"--to {path}: {nearest(suffix or path.name, SUFFIXES)}")
    if path.exists() and not told.overwrite:
        raise UsageError(f"--to {path} exists already; choose another, or add --overwrite.")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"--to {path}: there is no folder {path.parent}.")
    if told.precision != "fp32" and suffix != ".onnx":
        raise UsageError(f"--precision {told.precision} is for .onnx files; {path.name} has float32.")
    if told.uint8 and suffix == ".safetensors":
        raise UsageError("--uint8 is for models; a .safetensors file holds weights alone. Remove one of them.")
    require_libraries(suffix)
    return suffix


def _fd_before_and_after(
    told: Exporting, generator: LoadedGenerator, module: Deployed, run: Run
) -> tuple[float, float] | None:
    """FD of torch's images and of the model's. If the data are missing, warn and return None."""
    try:
        dataset = data_of(generator, Request(told.ckpt, data_root=told.data_root))
        evaluator, count = evaluator_for(dataset, CPU, 0)
    except GancliError as error:
        log.warning("FD was not measured: %s", error)
        return None
    if not isinstance(evaluator, Evaluator):
        return None
    inputs = numbered_inputs(generator, range(count))

    def fd_of(run: Run) -> float:
        starts = range(0, count, DRAWN_AT_ONCE)
        drawn = [torch.from_numpy(run(inputs.rows(start, start + DRAWN_AT_ONCE))) for start in starts]
        return evaluator.evaluate(_as_pixels(torch.cat(drawn), told.uint8), ["fd"]).figure("fd").value

    return fd_of(torch_runner(module)), fd_of(run)


def _as_pixels(drawn: Tensor, is_pixels: bool) -> Tensor:
    return drawn.permute(0, 3, 1, 2).contiguous() if is_pixels else to_pixels(drawn)

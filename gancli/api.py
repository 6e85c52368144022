"""The commands as Python functions: flags are keywords, messages name keywords, global state is restored."""

import inspect as introspection
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor

from gancli.artifacts.lookup import generator_called, run_called
from gancli.config import TrainConfig
from gancli.config.deploy_command import Exporting, Inspecting
from gancli.config.evaluate_command import Measuring
from gancli.config.sample_command import Loading, Reconstructing, Sampling
from gancli.config.settings import declarations
from gancli.config.spelling import in_keywords, naming_keywords
from gancli.config.train_command import Training
from gancli.config.values import COMMAND_LINE, build, typed
from gancli.deploy import exporting
from gancli.deploy import inspection as inspecting
from gancli.deploy.exporting import Exported
from gancli.deploy.inspection import Inspected
from gancli.errors import UsageError, nearest
from gancli.evaluation import Report
from gancli.evaluation.sources import measure
from gancli.evaluation.sources.request import Request
from gancli.machine import devices, global_state
from gancli.recipes import hyperparameters_like
from gancli.runs import train as training
from gancli.runs.dry_run import DryRun, dry_run
from gancli.runs.reconstruct import reconstructed
from gancli.runs.result import TrainResult
from gancli.sampling.generator import load_generator
from gancli.sampling.loaded import Generator
from gancli.sampling.plan import Drawing, plan_sample
from gancli.training.loop import Callback

__all__ = [
    "Callback",
    "Drawing",
    "DryRun",
    "Exported",
    "Generator",
    "Inspected",
    "TrainResult",
    "dry_run",
    "evaluate",
    "evaluate_run",
    "export",
    "inspect",
    "load",
    "plan_sample",
    "reconstruct",
    "sample",
    "train",
]

P = ParamSpec("P")
R = TypeVar("R")


def _function(settings: Callable[P, object], run: Callable[..., R], **defaults: Any) -> Callable[P, R]:
    """Make a function of ``run`` with the signature of the dataclass ``settings``, except for ``defaults``.

    It calls ``run`` with the given keywords only.
    """
    assert isinstance(settings, type)
    signature = introspection.signature(settings)
    shown = {name: each.default for name, each in declarations(settings).items() if not each.is_required} | defaults
    parameters = [each.replace(default=shown.get(name, each.default)) for name, each in signature.parameters.items()]
    returned = introspection.signature(run).return_annotation

    def call(*arguments: P.args, **keywords: P.kwargs) -> R:
        for name in keywords:
            _require_known(name, signature, call.__name__)
        with global_state.restored(), naming_keywords(settings):
            return run(**signature.bind_partial(*arguments, **keywords).arguments)

    call.__name__ = call.__qualname__ = run.__name__.lstrip("_")
    call.__signature__ = signature.replace(parameters=parameters, return_annotation=returned)  # type: ignore[attr-defined]
    call.__annotations__ = {each.name: each.annotation for each in parameters} | {"return": returned}
    call.__doc__ = f"{introspection.getdoc(run)}\n\nKeywords:\n{_in_lines(settings)}"
    return call


def _require_known(name: str, signature: introspection.Signature, function: str) -> None:
    if name in signature.parameters:
        return
    hint = nearest(name, signature.parameters)
    if function == "train" and (hyperparameters := hyperparameters_like(name)):
        hint = f"recipes have {' and '.join(hyperparameters)}: hyperparameters={{{hyperparameters[0]!r}: ...}}"
    raise UsageError(f"{function}() has no keyword {name!r}; {hint}")


def _in_lines(cls: type) -> str:
    """One line per keyword, for the docstring."""
    lines = (f"{name}: {in_keywords(each.setting.meaning, cls)}" for name, each in declarations(cls).items())
    return "\n".join(textwrap.fill(line, 112, initial_indent=" " * 4, subsequent_indent=" " * 8) for line in lines)


@dataclass(frozen=True, kw_only=True)
class TrainingHere(Training):
    """Settings of ``gancli.train``, including those that only Python has."""

    callbacks: Sequence[Callback] = ()


def _train(config: str | Path | TrainConfig | None = None, **given: Any) -> TrainResult:
    """Train a GAN, as ``gancli train`` does; ``callbacks`` are called during training, see `Callback`.

    Raises UsageError (wrong input), TrainingDiverged and TrainingFailed (exit code 3 of the command), OutOfMemory and
    Interrupted (after SIGINT or SIGTERM, with the state saved).
    """
    own = {name: value for name, value in given.items() if name in declarations(TrainConfig)}
    beside = {name: value for name, value in given.items() if name not in own}
    if isinstance(config, str | Path):
        config = Path(config).expanduser()
    return training.train(config, **beside, **typed(TrainConfig, own, COMMAND_LINE))


def _load(ckpt: str | Path, device: str = "auto") -> Generator:
    """Load a generator as an object with its images, latents, classes and torch module; see `Generator`."""
    path = generator_called(ckpt)
    return Generator(path, load_generator(path, devices.select(device)))


def _sample(**given: Any) -> Tensor:
    """Draw from a generator: images, uint8 ``(n, C, H, W)``, or points, float32 ``(n, 2, 1, 1)``, on the CPU.

    With ``interpolate``, the frames from each image to the next and from the last to the first: ``(n * interpolate,
    C, H, W)``.
    """
    return torch.cat(list(plan_sample(build(Sampling, given, COMMAND_LINE)).batches))


def _reconstruct(**given: Any) -> tuple[Tensor, Tensor]:
    """The first ``n`` held-out images and their reconstructions, by a generator with an encoder.

    Both are uint8 ``(n, C, H, W)`` on the CPU; fewer than ``n`` if there are not so many.
    """
    made = reconstructed(build(Reconstructing, given, COMMAND_LINE))
    return made.images, made.rebuilt


def _evaluate(**given: Any) -> Report:
    """Measure a generator, or any pictures, against held-out images, as ``gancli eval`` does."""
    return measure.evaluate(build(Request, given, COMMAND_LINE))


def evaluate_run(run: str | Path, **given: Any) -> list[tuple[int, Report]]:
    """Measure each kept checkpoint of a run: its step and its report, oldest first; keywords as for `evaluate`."""
    with global_state.restored(), naming_keywords(Measuring):
        request = build(Request, given, COMMAND_LINE)
        return list(measure.evaluate_run(run_called(run).path, request))


def _export(**given: Any) -> Exported:
    """Write a generator as a model that runs without gancli, as ``gancli export`` does.

    The model is proved first: it draws the images that torch draws, or GancliError is raised and nothing is written.
    UsageError if a setting is impossible, or a library of ``gancli[export]`` is missing.
    """
    return exporting.export(build(Exporting, given, COMMAND_LINE))


def _inspect(**given: Any) -> Inspected:
    """Find out what a file of gancli's is, and whether it is sound, as ``gancli inspect`` does.

    With ``ckpt`` the picture is drawn again, and compared: see ``proof`` of the result.
    """
    told = build(Inspecting, given, COMMAND_LINE)
    against = load_generator(generator_called(told.ckpt), devices.select(told.device)) if told.ckpt else None
    return inspecting.inspect(Path(told.file), against, told.label_font)


train = _function(TrainingHere, _train, progress="tqdm")
load = _function(Loading, _load)
sample = _function(Sampling, _sample)
reconstruct = _function(Reconstructing, _reconstruct)
evaluate = _function(Measuring, _evaluate)
export = _function(Exporting, _export)
inspect = _function(Inspecting, _inspect)

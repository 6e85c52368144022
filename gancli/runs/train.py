"""Training in one call: from a configuration, or a run to resume, to a finished run's folder."""

import contextlib
import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from gancli.artifacts import run_folder
from gancli.artifacts.run_folder import RunFolder
from gancli.config import TrainConfig
from gancli.data import Split
from gancli.errors import TrainingDiverged, TrainingFailed, UsageError, is_out_of_memory
from gancli.health.vital_signs import SAMPLES, VitalSigns
from gancli.health.watch import Watch
from gancli.machine import global_state
from gancli.machine.distributed import joined
from gancli.runs import batch_size, environment, lock, rollback
from gancli.runs import resume as resuming
from gancli.runs.prepare import Prepared
from gancli.runs.quick_evaluation import QuickEvaluation
from gancli.runs.resolve import asked_for
from gancli.runs.result import TrainResult, result_of, resume_command
from gancli.runs.stage_notes import StageNotes
from gancli.training import progress, signals
from gancli.training.loop import Callback, Loop
from gancli.training.progress import Shown, View, decoding_progress
from gancli.training.records import MetricsFile, TensorBoard
from gancli.training.saving import Checkpoints, Samples

log = logging.getLogger(__name__)


def train(
    config: str | Path | TrainConfig | None = None,
    *,
    resume: str | Path | None = None,
    progress: View = "tqdm",
    settings: Sequence[str] = (),
    callbacks: Sequence[Callback] = (),
    **options: Any,
) -> TrainResult:
    """Train a GAN, as ``gancli train`` does; ``options`` are the fields of `TrainConfig`.

    ``config`` is a TOML file or a `TrainConfig`, ``resume`` is "latest", a run's folder or a checkpoint, and
    ``settings`` are texts like ``"d_lr=5e-5"``. ``callbacks`` are told how it goes on, after gancli's own have done
    their work; under torchrun only those of the first process. A rollback starts them anew.

    Raises UsageError (wrong input), TrainingDiverged and TrainingFailed (exit code 3 of the command), OutOfMemory and
    Interrupted (after SIGINT or SIGTERM, with the state saved).
    """
    with joined() as group, global_state.restored(), contextlib.ExitStack() as stack:
        folder = None if resume is None else _folder_to_resume(resume, config, options)
        if folder is not None and group.leads:
            stack.enter_context(lock.held(folder.path))
        resumed = None if resume is None or folder is None else resuming.read(resume, folder, settings, options)
        asked = resumed.asked if resumed else asked_for(config, settings, options)
        rollback.check(asked.on_failure, group)
        with decoding_progress(progress) as on_progress:
            prepared = batch_size.prepare_measured(asked, group, on_progress)
        prepared = resuming.start(prepared, resumed)
        if folder is None and group.leads:
            assert prepared.config.name
            folder = run_folder.create(Path(prepared.config.out), prepared.config.name)
            stack.enter_context(lock.held(folder.path))
        return _to_the_end(prepared, folder, progress, callbacks)


def _folder_to_resume(
    resume: str | Path, config: str | Path | TrainConfig | None, options: dict[str, Any]
) -> RunFolder:
    if config is not None:
        raise UsageError("--resume goes on with the run's own configuration; remove --config.")
    out = options.pop("out", None)
    return resuming.folder_of(resume, None if out is None else Path(out))


def _to_the_end(prepared: Prepared, folder: RunFolder | None, view: View, callbacks: Sequence[Callback]) -> TrainResult:
    """Train; after a failure, from an earlier checkpoint as often as that is allowed."""
    while True:
        try:
            return _run(prepared, folder, view, callbacks)
        except (TrainingFailed, TrainingDiverged) as failure:
            if folder is None:
                raise
            prepared = rollback.rolled_back(prepared, folder, failure)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            said = str(error)
            break
    raise batch_size.failure(prepared, said)  # here, where the error no longer holds what the step had in memory


def _run(prepared: Prepared, folder: RunFolder | None, view: View, callbacks: Sequence[Callback]) -> TrainResult:
    config, watch = prepared.config, Watch(config=asdict(prepared.config))
    log.info("recipe: %s", prepared.resolved.chosen)
    if folder is None or not prepared.resolved.group.leads:
        loop = Loop(prepared.step, prepared.plan, watch=watch)
    else:
        loop = Loop(
            prepared.step,
            prepared.plan,
            callbacks=(*own_callbacks(prepared, folder, view), *callbacks),
            evaluate=QuickEvaluation(prepared) if config.eval_every else None,
            vital_signs=vital_signs(prepared) if config.watch_every else None,
            watch=watch,
            fatal=bool(config.watch_every) and config.on_failure != "warn",
        )
        environment.describe(prepared, folder)
    if folder is not None:
        loop.resume_command = resume_command(folder, prepared.resolved.group.world)
    with signals.caught(loop.stop):
        loop.run()
    return result_of(loop, folder or RunFolder(Path(prepared.config.out)))


def own_callbacks(prepared: Prepared, folder: RunFolder, view: View) -> list[Callback]:
    """What writes the run's files and shows how it goes on."""
    metrics, board = MetricsFile(folder), TensorBoard(folder)
    samples = Samples(folder, prepared.config.seed, prepared.origin, board)
    saver = Checkpoints(
        folder, prepared.origin, prepared.config.keep, (metrics, board), lambda: environment.describe(prepared, folder),
        resuming.fixed_of(prepared.config),
    )  # fmt: skip
    notes = StageNotes(prepared.dataset.heldout, prepared.device)
    return [metrics, board, samples, saver, notes, Shown(progress.choose(view))]


def vital_signs(prepared: Prepared) -> VitalSigns:
    """Measure the networks on the first images of both splits, as training sees them."""
    count, device = min(SAMPLES, prepared.step.setup.noise.batch_size), prepared.device

    def first(split: Split) -> tuple[torch.Tensor, torch.Tensor | None]:
        images = torch.as_tensor(split.images[:count]).to(device)
        labels = None if split.labels is None else split.labels[:count].to(device)
        return (images.float() / 127.5 - 1 if images.dtype == torch.uint8 else images), labels

    state, noise = prepared.step.state, prepared.step.setup.noise
    return VitalSigns(
        state.g, state.d, state.ema, state.scaler, noise.latent_dim, noise.classes, prepared.recipe.chance(),
        first(prepared.dataset.train), first(prepared.dataset.heldout),
    )  # fmt: skip

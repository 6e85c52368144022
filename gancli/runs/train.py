"""Training in one call, from a configuration or a run to resume to the folder of a finished run."""

import contextlib
import logging
import os
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
from gancli.runs.labels import labels_of
from gancli.runs.prepare import Prepared
from gancli.runs.quick_evaluation import QuickEvaluation
from gancli.runs.resolve import asked_for
from gancli.runs.result import TrainResult, result_of, resume_command
from gancli.runs.stage_notes import StageNotes
from gancli.training import progress, signals
from gancli.training.loop import Callback, Loop
from gancli.training.progress import SafeView, View, decoding_progress
from gancli.training.records import MetricsFile, TensorBoard
from gancli.training.saving import Checkpoints, Samples

log = logging.getLogger(__name__)
AUTO = "auto"
"""The value of ``resume`` that starts a run unless there is one to go on with."""


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

    Args:
        config: A TOML file or a `TrainConfig`.
        resume: "latest", a run's folder or a checkpoint; "auto" starts a run if there is none under ``out``.
        progress: How progress is shown.
        settings: Texts such as ``"d_lr=5e-5"``.
        callbacks: Called after gancli's own; under torchrun only in the first process. After a rollback, ``on_start``
            is called again.
        options: Fields of `TrainConfig`.

    Raises:
        UsageError: The input is wrong.
        TrainingDiverged, TrainingFailed: Training failed (exit code 3 of the command).
        OutOfMemory: A step does not fit into memory; the message says what does.
        Interrupted: SIGINT or SIGTERM arrived; the state is saved.
    """
    with joined() as group, global_state.restored(), contextlib.ExitStack() as stack:
        if resume == AUTO:
            out = asked_for(config, settings, options).out
            resume = resuming.auto(Path(out), group)
            if resume is not None:  # the run has its own configuration, with what was chosen and timed for it
                config, options = None, {key: value for key, value in options.items() if value != AUTO}
                options |= {"out": out, "time": None}
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
            config = prepared.resolved.config
            assert config.name
            folder = run_folder.create(Path(config.out), config.name)
            stack.enter_context(lock.held(folder.path))
        return _to_the_end(prepared, folder, progress, callbacks)


def _folder_to_resume(
    resume: str | Path, config: str | Path | TrainConfig | None, options: dict[str, Any]
) -> RunFolder:
    if config is not None:
        raise UsageError("--resume goes on with the run's own configuration; remove --config.")
    out = options.pop("out", None)
    folder = resuming.folder_of(resume, None if out is None else Path(out))
    if not os.access(folder.path, os.W_OK):
        raise UsageError(
            f"--resume {resume}: nothing may be written to {folder.path}; copy it, or start a new run with --init-from."
        )
    return folder


def _to_the_end(prepared: Prepared, folder: RunFolder | None, view: View, callbacks: Sequence[Callback]) -> TrainResult:
    """Train; after a failure, roll back and train on, as often as allowed."""
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
    raise batch_size.failure(prepared, said)  # after the except block, because the error keeps the step's memory alive


def _run(prepared: Prepared, folder: RunFolder | None, view: View, callbacks: Sequence[Callback]) -> TrainResult:
    resolved = prepared.resolved
    log.info("recipe: %s", resolved.chosen)
    if folder is not None and resolved.group.leads:
        environment.describe(prepared, folder)
        loop = _leading_loop(prepared, folder, view, callbacks)
    else:
        loop = Loop(prepared.step, resolved.plan, watch=Watch(config=asdict(resolved.config)))
    with signals.caught(loop.stop):
        loop.run()
    return result_of(loop, folder or RunFolder(Path(resolved.config.out)))


def _leading_loop(prepared: Prepared, folder: RunFolder, view: View, callbacks: Sequence[Callback]) -> Loop:
    """The loop of the process that writes files, evaluates and watches."""
    resolved, config = prepared.resolved, prepared.resolved.config
    return Loop(
        prepared.step,
        resolved.plan,
        callbacks=(*own_callbacks(prepared, folder, view), *callbacks),
        evaluate=QuickEvaluation(prepared) if config.eval_every else None,
        vital_signs=vital_signs(prepared) if config.watch_every else None,
        watch=Watch(config=asdict(config)),
        fatal=bool(config.watch_every) and config.on_failure != "warn",
        resume_command=resume_command(folder, resolved.group.world),
    )


def own_callbacks(prepared: Prepared, folder: RunFolder, view: View) -> list[Callback]:
    """The callbacks that write the run's files and show its progress."""
    resolved, config = prepared.resolved, prepared.resolved.config
    metrics, board = MetricsFile(folder), TensorBoard(folder)
    samples = Samples(folder, config.seed, prepared.origin, board)
    saver = Checkpoints(
        folder, prepared.origin, config.keep, (metrics, board), lambda: environment.describe(prepared, folder),
        resuming.fixed_of(config),
    )  # fmt: skip
    notes = StageNotes(resolved.dataset.heldout, resolved.device)
    return [metrics, board, samples, saver, notes, SafeView(progress.choose(view))]


def vital_signs(prepared: Prepared) -> VitalSigns:
    """Measurements of the networks on the first images of both splits."""
    resolved = prepared.resolved
    count, device = min(SAMPLES, prepared.step.setup.noise.batch_size), resolved.device

    def first(split: Split) -> tuple[torch.Tensor, torch.Tensor | None]:
        images = torch.as_tensor(split.images[:count]).to(device)
        labels = labels_of(resolved.recipe, resolved.dataset, split)
        own = None if labels is None else labels[:count].to(device)
        return (images.float() / 127.5 - 1 if images.dtype == torch.uint8 else images), own

    state, noise = prepared.step.state, prepared.step.setup.noise
    return VitalSigns(
        state.g, state.d, state.ema, state.scaler, noise.latent_dim, noise.classes,
        first(resolved.dataset.train), first(resolved.dataset.heldout),
    )  # fmt: skip

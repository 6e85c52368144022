"""Training as one call: from a configuration, or a run to resume, to a finished run's folder."""

import contextlib
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from gancli import config as configuration
from gancli.artifacts import run_folder
from gancli.artifacts.checkpoint import Checkpoint
from gancli.artifacts.run_folder import RunFolder
from gancli.config import TrainConfig
from gancli.data import Split
from gancli.errors import TrainingDiverged, TrainingFailed, UsageError, is_out_of_memory
from gancli.files.atomic import write_text_atomically
from gancli.health.vital_signs import SAMPLES, VitalSigns
from gancli.health.watch import Watch
from gancli.machine import global_state
from gancli.machine.distributed import Group, joined
from gancli.runs import batch_size, environment, lock, rollback
from gancli.runs import resume as resuming
from gancli.runs.prepare import Prepared, after_rollbacks
from gancli.runs.quick_evaluation import QuickEvaluation
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
        folder = _folder_to_resume(config, resume, options)
        if folder is not None and group.leads:
            stack.enter_context(lock.held(folder.path))
        if resume is None or folder is None:
            found, asked = None, asked_for(config, settings, options)
        else:
            found = resuming.checkpoint_of(resume, folder)
            asked = resuming.merged_config(folder, settings, options)
        rollback.check(asked.on_failure, group)
        with decoding_progress(progress) as on_progress:
            prepared = batch_size.prepare_measured(asked, group, on_progress)
        if folder is not None and group.leads:
            resuming.warn_of_other_arithmetic(folder, prepared.config)
        if found is not None and (rollbacks := found.state.get("rollbacks", 0)):
            prepared = after_rollbacks(prepared, rollbacks, group)
        start_from(prepared, found, folder)
        if folder is not None and group.leads:
            run_folder.go_on_from(folder, prepared.step.state.step)
        if folder is None and group.leads:
            assert prepared.config.name
            folder = run_folder.create(Path(prepared.config.out), prepared.config.name)
            stack.enter_context(lock.held(folder.path))
        while True:
            try:
                return _run(prepared, folder, group, progress, callbacks)
            except (TrainingFailed, TrainingDiverged) as failure:
                if folder is None:
                    raise
                prepared = rollback.rolled_back(prepared, folder, group, failure)
                continue
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                said = str(error)
            raise batch_size.failure(
                prepared, said
            )  # here, where the error no longer holds what the step had in memory


def asked_for(config: str | Path | TrainConfig | None, settings: Sequence[str], options: dict[str, Any]) -> TrainConfig:
    """The configuration of a new run: options over settings over a file."""
    if config == "":
        raise UsageError("config is empty; leave it away or give it a value.")
    if isinstance(config, TrainConfig):
        file, what = {k: v for k, v in asdict(config).items() if v is not None}, "the configuration"
    else:
        file, what = (
            (configuration.load_toml(Path(config)), str(config)) if config is not None else ({}, "the configuration")
        )
    in_file = configuration.build(TrainConfig, file, what)
    asked = configuration.build(TrainConfig, configuration.merge(file, settings, options), "the command line")
    if asked.recipe != in_file.recipe and in_file.hyperparameters and "recipe" in file:
        raise UsageError(
            f"--recipe {asked.recipe}: {what} has hyperparameters of recipe {in_file.recipe}; leave one of both away."
        )
    return asked


def _folder_to_resume(
    config: str | Path | TrainConfig | None, resume: str | Path | None, options: dict[str, Any]
) -> RunFolder | None:
    if resume is None:
        return None
    if config is not None:
        raise UsageError("--resume goes on with the run's own configuration; leave --config away.")
    out = options.pop("out", None)
    return resuming.folder_of(resume, None if out is None else Path(out))


def start_from(prepared: Prepared, found: Checkpoint | None, folder: RunFolder | None) -> None:
    """Give a state what it goes on from: a checkpoint, what ``--init-from`` names, or nothing."""
    state = prepared.step.state
    if found is not None:
        resuming.require_same_run(found, prepared.origin, prepared.config)
    resuming.begin(state, found, prepared.config)
    if found is not None:
        log.info("resuming %s after step %d", found.path.parent.parent, state.step)
        if state.step > prepared.plan.total_steps:
            raise UsageError(
                f"{found.path} has done {state.step} steps, more than the {prepared.plan.total_steps} that --steps or "
                "--epochs ask for; give more, or resume an earlier checkpoint."
            )
        if state.step == prepared.plan.total_steps:
            log.warning("this run is complete; give more --steps or --epochs to go on.")
    elif folder is not None:
        log.info("%s has no checkpoint yet; it starts at step 0, with the same draws", folder.path)


def _run(
    prepared: Prepared, folder: RunFolder | None, group: Group, view: View, callbacks: Sequence[Callback]
) -> TrainResult:
    config, watch = prepared.config, Watch(config=asdict(prepared.config))
    log.info("recipe: %s", prepared.chosen)
    if folder is None or not group.leads:
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
        _describe(prepared, folder)
    if folder is not None:
        loop.resume_command = resume_command(folder, group.world)
    with signals.caught(loop.stop):
        loop.run()
    return result_of(loop, folder or RunFolder(Path(prepared.config.out)))


def _describe(prepared: Prepared, folder: RunFolder) -> None:
    """Write what repeats the run, and what it was made with."""
    write_text_atomically(folder.config, configuration.dump_toml(prepared.config))
    if prepared.dataset.skipped:
        lines = [json.dumps({"file": name, "reason": reason}) for name, reason in prepared.dataset.skipped]
        write_text_atomically(folder.path / "skipped.jsonl", "\n".join(lines) + "\n")
    environment.write_environment(folder, environment.facts_of(prepared))


def own_callbacks(prepared: Prepared, folder: RunFolder, view: View) -> list[Callback]:
    """What writes the run's files and shows how it goes on."""
    metrics, board = MetricsFile(folder), TensorBoard(folder)
    samples = Samples(folder, prepared.config.seed, board, prepared.origin.spec.point_scale)
    saver = Checkpoints(
        folder, prepared.origin, prepared.config.keep, (metrics, board), lambda: _describe(prepared, folder),
        resuming.fixed_of(prepared.config),
    )  # fmt: skip
    notes = StageNotes(prepared.dataset.heldout, prepared.device)
    return [metrics, board, samples, saver, notes, Shown(progress.choose(view))]


def vital_signs(prepared: Prepared) -> VitalSigns:
    """Asks about the first images of either split, as training sees them."""
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

"""Callbacks that save sample grids, checkpoints and network files; `records` saves metrics.

A full disk or a missing folder does not end the training: a file that cannot be written gives a warning, and is tried
again next time. Only the last checkpoint must be written, otherwise the run fails.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gancli.artifacts import checkpoint, network_file, run_folder
from gancli.artifacts.network_file import Origin
from gancli.artifacts.run_folder import RunFolder
from gancli.errors import CannotSave, FileFormatError
from gancli.sampling import drawing, rendering
from gancli.sampling.mark import mark_of
from gancli.sampling.stamping import Stamp
from gancli.steps.state import TrainState
from gancli.training.loop import Callback, Loop
from gancli.training.records import MetricsFile, TensorBoard, tolerated

log = logging.getLogger(__name__)


@dataclass
class Samples(Callback):
    """Saves grids of the averaged generator's images, always from the same latents."""

    folder: RunFolder
    seed: int
    origin: Origin
    board: TensorBoard | None = None
    count: int = 0
    """Images per grid; 0: 64, or 2,500 points."""
    last_samples: Path | None = None
    """Path of the newest grid."""

    def on_step(self, loop: Loop) -> None:
        """Draw a grid if it is due."""
        if loop.plan.due(loop.state.step, loop.plan.sample_every):
            scale, choices = self.origin.spec.point_scale, self.origin.choices(loop.step.setup.recipe)
            noise, count = loop.step.setup.noise, self.count or (2500 if scale else 64)
            drawn = drawing.draw_first(loop.state.ema, noise.latent_dim, choices, self.seed, count, scale)
            grid = rendering.sheet(drawn, scale)
            self.last_samples = self.folder.sample(loop.state.step)
            with tolerated(str(self.last_samples)):
                rendering.save_png(grid, self.last_samples, stamp=self._stamp(loop.state, noise.classes, count))
            if self.board is not None:
                self.board.add_grid(grid, loop.state.step)

    def _stamp(self, state: TrainState, classes: int, count: int) -> Stamp:
        identity = network_file.identity(self.origin, state.ema.state_dict())
        names = self.origin.classes[:classes]
        return Stamp(mark_of(identity, self.origin.recipe, names, range(count), seed=self.seed))


@dataclass
class Checkpoints(Callback):
    """Saves checkpoints and network files at intervals and whenever the run stops."""

    folder: RunFolder
    origin: Origin
    keep: int
    records: Sequence[MetricsFile | TensorBoard]
    """Files to flush to disk before a checkpoint, since a resume continues them."""
    describe: Callable[[], None]
    """Writes the configuration, which a resume needs."""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    """Settings that a resumed run cannot change."""
    saved_step: int = field(default=-1, init=False)
    """The last completely saved step."""
    _best_saved: int | None = field(default=None, init=False)
    """The step of the best checkpoint on disk; writing a better one may have failed."""

    _best_written: int | None = field(default=None, init=False)
    """The step of the generator in ``best.pth``; None while unknown."""

    def on_start(self, loop: Loop) -> None:
        """Find saved files, so that a resume saves nothing twice."""
        self._best_saved = _best_step(loop.state)
        with tolerated(str(self.folder.best_generator)):
            self._begin_best(loop)
        if loop.state.step and self._has_networks_of(loop.state.step):
            self.saved_step = loop.state.step

    def on_step(self, loop: Loop) -> None:
        """Save if it is due, or if this step has the best evaluation."""
        if loop.plan.due(loop.state.step, loop.plan.save_every) or _best_step(loop.state) == loop.state.step:
            loop.require_sound()
            with tolerated(str(self.folder.checkpoint(loop.state.step))):
                self._save_checkpoint(loop)
            with tolerated(str(self.folder.generator)):
                self._save_networks(loop)
            with tolerated(str(self.folder.best_generator)):
                self._save_best(loop)

    def on_finish(self, loop: Loop) -> None:
        """Save the last step if it is not saved; CannotSave if that fails."""
        if self.saved_step == loop.state.step:
            return
        loop.require_sound()
        try:
            self._save_checkpoint(loop)
            self._save_networks(loop)
        except OSError as error:
            left = self.folder.checkpoints()
            rest = f"--resume {self.folder.path} goes on from {left[-1].name}" if left else "there is no checkpoint"
            raise CannotSave(
                f"step {loop.state.step}, the last of this run, cannot be saved ({error.strerror or error}); {rest}."
            ) from error

    def on_error(self, loop: Loop) -> None:
        """Save the last step if its values are finite; warn if it cannot be saved."""
        if loop.state.step in (0, self.saved_step):
            return
        try:
            self.on_finish(loop)
        except Exception as error:  # the error that led here is reported instead
            log.warning("step %d was not saved: %s", loop.state.step, error)
        else:
            log.warning("step %d is saved; --resume %s goes on from it.", loop.state.step, self.folder.path)

    def _save_checkpoint(self, loop: Loop) -> None:
        if not self.folder.config.exists():
            log.warning("%s was moved or removed; it is written again, from here on.", self.folder.path)
            self.describe()
        for each in self.records:
            each.sync()
        state, path = loop.state, self.folder.checkpoint(loop.state.step)
        checkpoint.save(path, state, self.origin, loop.step.images_seen, self.fixed)
        best = _best_step(state)
        if best is not None and self.folder.checkpoint(best).exists():
            self._best_saved = best
        checkpoint.remove_old(self.folder, self.keep, self._best_saved, loop.watch.sick_since)

    def _save_networks(self, loop: Loop) -> None:
        generator, discriminator = checkpoint.network_files(loop.state, self.origin, loop.step.images_seen)
        network_file.save(self.folder.generator, generator)
        network_file.save(self.folder.discriminator, discriminator)
        if self.folder.checkpoint(loop.state.step).exists():
            self.saved_step = loop.state.step

    def _begin_best(self, loop: Loop) -> None:
        """Write the state's best generator to ``best.pth``; put aside one of a later step, which is discarded."""
        path = self.folder.best_generator
        if path.exists() and (_steps_in(path) or 0) > loop.state.step:
            run_folder.put_aside(path)
        self._save_best(loop)

    def _save_best(self, loop: Loop) -> None:
        """Write ``best.pth`` if it is missing or outdated, from the state or from the best checkpoint."""
        step, path = _best_step(loop.state), self.folder.best_generator
        if step is None or (step == self._best_written and path.exists()):
            return
        if path.exists() and _steps_in(path) == step:
            self._best_written = step
            return
        if step == loop.state.step:
            file, _ = checkpoint.network_files(loop.state, self.origin, loop.step.images_seen)
        elif self.folder.checkpoint(step).exists():
            file = checkpoint.generator_file(checkpoint.load(self.folder.checkpoint(step)))
        else:
            return
        network_file.save(path, file)
        self._best_written = step

    def _has_networks_of(self, step: int) -> bool:
        try:
            generator = network_file.load(self.folder.generator, "generator")
            discriminator = network_file.load(self.folder.discriminator, "discriminator")
        except FileFormatError:
            return False
        return generator.steps == discriminator.steps == step


def _steps_in(path: Path) -> int | None:
    """Training steps of a generator file; None if it cannot be read."""
    try:
        return network_file.load(path, "generator").steps
    except FileFormatError:
        return None


def _best_step(state: TrainState) -> int | None:
    return state.best.step if state.best else None

"""The training loop, and the callbacks that it calls."""

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from gancli.errors import CannotSave, Interrupted, TrainingDiverged, TrainingFailed
from gancli.health.remedies import DIVERGED, advice
from gancli.health.watch import Alarm, Watch
from gancli.steps.state import Best, TrainState
from gancli.steps.step import Step

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """Length and intervals of a training, in steps. An interval of 0 means only at the end."""

    total_steps: int
    batch_size: int
    images: int
    """Number of training images, for counting epochs."""
    images_per_step: int
    """Real images per step, over all of D's steps."""
    log_every: int
    save_every: int
    sample_every: int
    eval_every: int
    watch_every: int = 0

    def due(self, step: int, every: int) -> bool:
        """True if this step ends an interval of ``every`` steps, or the training."""
        return step == self.total_steps or (every > 0 and step % every == 0)


@dataclass(frozen=True)
class Record:
    """One line of metrics: means since the last line, and an evaluation if it is due."""

    step: int
    images_seen: int
    epoch: float
    seconds: float
    values: dict[str, float]
    alarms: tuple[Alarm, ...] = ()
    """New alarms of the health watch."""

    def as_dict(self) -> dict[str, Any]:
        """The line of ``metrics.jsonl``; a value that is not finite is null."""
        head = {"step": self.step, "images_seen": self.images_seen, "epoch": round(self.epoch, 4)}
        alarms = {"alarms": [alarm.as_dict() for alarm in self.alarms]} if self.alarms else {}
        values = {name: value if math.isfinite(value) else None for name, value in self.values.items()}
        return head | {"seconds": round(self.seconds, 3)} | values | alarms


@dataclass(frozen=True)
class Evaluation:
    """The result of an evaluation during training."""

    values: dict[str, float]
    """Metrics as ``eval/<name>``, and the time that they took, ``eval/seconds``."""
    best: Best | None
    """The best evaluation so far, including this one."""


class Callback:
    """Base of callbacks; override the methods that you need.

    ``loop.state`` is the training state, ``loop.plan`` its length, ``loop.last_record`` the last line of metrics.
    """

    def on_start(self, loop: "Loop") -> None:
        """Before the first step of this process."""

    def on_stage(self, loop: "Loop") -> None:
        """After this process's first step in a stage of the training; see `Step.stage`."""

    def on_step(self, loop: "Loop") -> None:
        """After each step; must not wait for the device."""

    def on_record(self, loop: "Loop", record: Record) -> None:
        """After each line of metrics. Losses are finite, except in the last line of a diverged training."""

    def on_finish(self, loop: "Loop") -> None:
        """After the last step, also if a signal ended the training."""

    def on_error(self, loop: "Loop") -> None:
        """After an unexpected error, or an error of the data, between two steps; the state is that after a step."""

    def close(self) -> None:
        """At the end, also after an error."""


@dataclass
class Loop:
    """Runs steps until the end of the plan or a signal."""

    step: Step
    plan: Plan
    callbacks: Sequence[Callback] = ()
    evaluate: Callable[[TrainState], Evaluation] | None = None
    """Evaluates the averaged generator without changing the state."""
    vital_signs: Callable[[dict[str, float], float | None], dict[str, float]] | None = None
    """Measures the networks' health; the arguments are mean losses since the last line, and D's loss at chance."""
    watch: Watch = field(default_factory=Watch)
    fatal: bool = False
    """True if an alarm ends the training."""
    stop_signal: int | None = None
    """Number of a signal; set by its handler, ends the loop after the present step."""
    resume_command: str = "gancli train --resume latest"
    """The command that resumes this run, for the message after a signal."""
    last_record: Record | None = None
    _resumed_at: float = field(default=0.0, init=False)

    @property
    def state(self) -> TrainState:
        """The state that is trained."""
        return self.step.state

    def run(self) -> None:
        """Train.

        Raises:
            TrainingDiverged: a line of metrics or a checkpoint is not finite.
            TrainingFailed: an alarm, if `fatal`.
            Interrupted: a signal arrived; the callbacks have saved the state.

        Other errors are passed on after ``on_error`` of the callbacks, unless they occur within a step.
        """
        self._resumed_at = time.perf_counter() - self.state.seconds
        try:
            for callback in self.callbacks:
                callback.on_start(self)
            while self.state.step < self.plan.total_steps and not self._must_stop():
                self._one_step()
            for callback in self.callbacks:
                callback.on_finish(self)
        except (TrainingDiverged, TrainingFailed, CannotSave):
            raise
        except Exception:
            if not self.state.half_done:
                for callback in self.callbacks:
                    callback.on_error(self)
            raise
        finally:
            for callback in self.callbacks:
                callback.close()
        if self.stop_signal is not None and self.state.step < self.plan.total_steps:
            raise Interrupted(
                f"interrupted after step {self.state.step}; the state is saved. Go on with: {self.resume_command}",
                self.stop_signal,
            )

    def stop(self, signal_number: int) -> None:
        """Stop after the present step."""
        self.stop_signal = signal_number

    def _must_stop(self) -> bool:
        self.stop_signal = self.step.setup.group.agree(self.stop_signal)
        return self.stop_signal is not None

    def _one_step(self) -> None:
        before = self.step.stage
        self.state.running.add(self.step())
        self.state.seconds = time.perf_counter() - self._resumed_at
        done, stage = self.state.step, self.step.stage
        for callback in self.callbacks if stage != before else ():
            callback.on_stage(self)
        evaluating = (
            self.evaluate is not None and self.plan.eval_every > 0 and self.plan.due(done, self.plan.eval_every)
        )
        watching = (
            self.vital_signs is not None and self.plan.watch_every > 0 and self.plan.due(done, self.plan.watch_every)
        )
        if evaluating or watching or self.plan.due(done, self.plan.log_every):
            trained = not stage.without_d  # without D, there is nothing to evaluate yet
            self._record(evaluating and trained, watching and trained)
        for callback in self.callbacks:
            callback.on_step(self)

    def _record(self, evaluating: bool, watching: bool) -> None:
        values = self.require_sound() if evaluating else self.require_finite()
        self.state.running.clear()
        if watching and self.vital_signs is not None:
            values |= self.vital_signs(values, self.step.recipe.chance())
            if self.step.stage.begins:
                values["health/stage_steps"] = float(self.step.stage_steps)
        if evaluating and self.evaluate is not None:
            evaluation = self.evaluate(self.state)
            self.state.best = evaluation.best
            values |= evaluation.values
        alarms = self._publish(values)
        for alarm in alarms:
            log.warning("step %d: %s", alarm.step, alarm)
        if alarms and self.fatal:
            raise TrainingFailed(f"stopped at step {self.state.step}: {alarms[0]}", alarms[0].since)

    def _publish(self, values: dict[str, float]) -> tuple[Alarm, ...]:
        """Pass a line of metrics to the watch and the callbacks; returns new alarms."""
        seen = self.step.images_seen
        alarms = tuple(self.watch.observe({"step": self.state.step} | values))
        record = Record(self.state.step, seen, seen / self.plan.images, self.state.seconds, values, alarms)
        self.last_record = record
        for callback in self.callbacks:
            callback.on_record(self, record)
        return alarms

    def require_finite(self) -> dict[str, float]:
        """The means since the last line; TrainingDiverged if one is not finite."""
        values = self.state.running.means()
        for name, value in values.items():
            if not math.isfinite(value):
                self._diverged(values, f"before step {self.state.step}: {name} is {value}")
        return values

    def require_sound(self) -> dict[str, float]:
        """Like `require_finite`, but checks weights too: losses of a step do not show its effect on them."""
        values = self.require_finite()
        for network in ("g", "d", "ema"):
            for name, value in getattr(self.state, network).state_dict().items():
                if value.is_floating_point() and not bool(value.isfinite().all()):
                    where = f"in step {self.state.step}: {network}'s {name} is no longer finite"
                    self._diverged(values | {f"{network}/{name}": math.nan}, where)
        return values

    def _diverged(self, values: dict[str, float], where: str) -> NoReturn:
        self._publish(values)
        raise TrainingDiverged(
            f"the training diverged {where}. No earlier file was overwritten. {advice(DIVERGED, self.watch.config)}"
        )

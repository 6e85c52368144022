"""The training loop: steps, and the moments at which callbacks are told."""

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
    """How long to train and how often to look, in steps; 0: only at the end."""

    total_steps: int
    batch_size: int
    images: int
    """Training images, for counting epochs."""
    images_per_step: int
    log_every: int
    save_every: int
    sample_every: int
    eval_every: int
    watch_every: int = 0

    def due(self, step: int, every: int) -> bool:
        """Whether this step ends an interval of ``every`` steps, or the training."""
        return step == self.total_steps or (every > 0 and step % every == 0)


@dataclass(frozen=True)
class Record:
    """One line of metrics: means since the last line, and an evaluation if one was due."""

    step: int
    images_seen: int
    epoch: float
    seconds: float
    values: dict[str, float]
    alarms: tuple[Alarm, ...] = ()
    """Alarms that the watch raises here."""

    def as_dict(self) -> dict[str, Any]:
        """The line of ``metrics.jsonl``; a value that is not finite is null."""
        head = {"step": self.step, "images_seen": self.images_seen, "epoch": round(self.epoch, 4)}
        alarms = {"alarms": [alarm.as_dict() for alarm in self.alarms]} if self.alarms else {}
        values = {name: value if math.isfinite(value) else None for name, value in self.values.items()}
        return head | {"seconds": round(self.seconds, 3)} | values | alarms


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation during training gives."""

    values: dict[str, float]
    """Figures as ``eval/<name>``, and what they took, ``eval/seconds``."""
    best: Best | None
    """The best evaluation so far, this one among them."""


class Callback:
    """Something that is told how a training goes on; override what you need.

    ``loop.state`` is what is trained, ``loop.plan`` how long, ``loop.last_record`` the last line of metrics.
    """

    def on_start(self, loop: "Loop") -> None:
        """Before the first step of this process."""

    def on_stage(self, loop: "Loop") -> None:
        """After the first step of this process in a stage of the training; see `Step.stage`."""

    def on_step(self, loop: "Loop") -> None:
        """After each step; it must not wait for the device."""

    def on_record(self, loop: "Loop", record: Record) -> None:
        """After each line of metrics; losses are finite, except in the last line of a training that diverged."""

    def on_finish(self, loop: "Loop") -> None:
        """After the last step, also when a signal made it the last."""

    def on_error(self, loop: "Loop") -> None:
        """After an unforeseen error, or one of the data, between two steps; the state is that after a step."""

    def close(self) -> None:
        """At the end, whatever happened."""


@dataclass
class Loop:
    """Runs steps until the plan is done or a signal arrives."""

    step: Step
    plan: Plan
    callbacks: Sequence[Callback] = ()
    evaluate: Callable[[TrainState], Evaluation] | None = None
    """Measures the averaged generator, and changes nothing."""
    vital_signs: Callable[[dict[str, float]], dict[str, float]] | None = None
    """Measures the networks' health, given the losses' means since the last line."""
    watch: Watch = field(default_factory=Watch)
    fatal: bool = False
    """Whether an alarm ends the training."""
    stop_signal: int | None = None
    """Set by a signal handler; the loop stops after the present step."""
    resume_command: str = "gancli train --resume latest"
    """Goes on with this run after a signal."""
    last_record: Record | None = None
    _resumed_at: float = field(default=0.0, init=False)

    @property
    def state(self) -> TrainState:
        """What is trained."""
        return self.step.state

    def run(self) -> None:
        """Train. Raises TrainingDiverged at the first line of metrics, or checkpoint, that is not finite.

        Raises Interrupted after a signal, once the callbacks have saved the state. Callbacks hear of any other error
        too, unless it came within a step.
        """
        self._resumed_at = time.perf_counter() - self.state.seconds
        try:
            for callback in self.callbacks:
                callback.on_start(self)
            while self.state.step < self.plan.total_steps and not self._told_to_stop():
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

    def _told_to_stop(self) -> bool:
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
            trained = not stage.without_d  # before, neither G's images nor D's answers mean anything
            self._record(evaluating and trained, watching and trained)
        for callback in self.callbacks:
            callback.on_step(self)

    def _record(self, evaluating: bool, watching: bool) -> None:
        values = self.require_sound() if evaluating else self.require_finite()
        self.state.running.clear()
        if watching and self.vital_signs is not None:
            values |= self.vital_signs(values)
            if self.step.stage.begins:
                values["health/stage_steps"] = float(self.step.stage_steps)
        if evaluating and self.evaluate is not None:
            evaluation = self.evaluate(self.state)
            self.state.best = evaluation.best
            values |= evaluation.values
        alarms = self._tell(values)
        for alarm in alarms:
            log.warning("step %d: %s", alarm.step, alarm)
        if alarms and self.fatal:
            raise TrainingFailed(f"stopped at step {self.state.step}: {alarms[0]}", alarms[0].since)

    def _tell(self, values: dict[str, float]) -> tuple[Alarm, ...]:
        """Give a line of metrics to the callbacks; returns the watch's alarms."""
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
        """Like `require_finite`, for every weight too: a step's losses do not show its effect on weights."""
        values = self.require_finite()
        for network in ("g", "d", "ema"):
            for name, value in getattr(self.state, network).state_dict().items():
                if value.is_floating_point() and not bool(value.isfinite().all()):
                    told = f"in step {self.state.step}: {network}'s {name} is no longer finite"
                    self._diverged(values | {f"{network}/{name}": math.nan}, told)
        return values

    def _diverged(self, values: dict[str, float], what: str) -> NoReturn:
        self._tell(values)
        raise TrainingDiverged(
            f"the training diverged {what}. Nothing was saved over the files of before. "
            f"{advice(DIVERGED, self.watch.config)}"
        )

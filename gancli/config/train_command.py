"""Settings of ``gancli train`` and ``gancli verify-resume`` that are not part of a run's configuration.

A class with ``Flags`` in its name adds what only a shell needs; the one without is what the Python function takes.
"""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import ClassVar, Literal

from gancli.config.output import Output
from gancli.config.pictures import PictureOptions
from gancli.config.settings import Settings, setting
from gancli.config.train import Data, Gan, Intervals, Length, Machine, Reading, TrainConfig

View = Literal["auto", "rich", "tqdm", "plain", "none"]


@dataclass(frozen=True)
class Start(Settings):
    """The configuration file and ``--set``."""

    PANEL: ClassVar[str | None] = "GAN"

    config: str | Path | TrainConfig | None = setting(
        None,
        "TOML file of flags and hyperparameters; flags and --set win over it.",
        metavar="FILE",
        is_path=True,
    )
    _: KW_ONLY
    settings: Sequence[str] = setting(
        (),
        "Change a hyperparameter of the recipe (or any flag), e.g. d_lr=5e-5; repeatable.",
        metavar="KEY=VALUE",
        flags=("--set",),
        completes="hyperparameter",
    )


@dataclass(frozen=True, kw_only=True)
class Resuming(Settings):
    """The run to resume."""

    PANEL: ClassVar[str | None] = "Files of the run"

    resume: str | Path | None = setting(
        None,
        "Go on exactly where a run stopped: 'latest' under --out, a run's folder, or a checkpoint; 'auto' goes on "
        "with the latest, or starts a run if there is none.",
        metavar="PATH|latest|auto",
        is_path=True,
        completes="run",
    )


@dataclass(frozen=True, kw_only=True)
class BesideConfig(Resuming, Start):
    """Settings of training that are not part of the configuration."""

    PANEL: ClassVar[str | None] = "What is shown"

    progress: View = setting("auto", "How progress is shown, on stderr.")


@dataclass(frozen=True, kw_only=True)
class BesideConfigFlags(Output, BesideConfig):
    """The same with flags that only a shell needs."""

    PANEL: ClassVar[str | None] = "What is shown"

    dry_run: bool = setting(
        False, "Check everything, run a few steps, print the plan; write nothing.", flags=("--dry-run",)
    )


@dataclass(frozen=True, kw_only=True)
class Training(BesideConfig, TrainConfig):
    """Settings of ``gancli.train``."""


@dataclass(frozen=True, kw_only=True)
class TrainFlags(BesideConfigFlags, TrainConfig):
    """Settings of ``gancli train``."""


@dataclass(frozen=True, kw_only=True)
class VerifyResume(Output, Start):
    """The point at which ``gancli verify-resume`` interrupts a run."""

    at: int | None = setting(
        None, "Step after which the run is interrupted.", metavar="STEP", default_in_words="half of --steps"
    )


@dataclass(frozen=True, kw_only=True)
class VerifyResumeFlags(VerifyResume, Intervals, Machine, Length, Gan, Reading, PictureOptions, Data):
    """Settings of ``gancli verify-resume``: the interruption, and those of the training."""

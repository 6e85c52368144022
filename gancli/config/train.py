"""The configuration of a training run, by subject. None leaves a setting to the recipe, the data or the machine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

from gancli.config.pictures import PictureOptions
from gancli.config.settings import Settings, declarations, setting
from gancli.config.values import convert, parse_duration, parse_image_size
from gancli.errors import UsageError

RUN_OR_FILE = "RUN|FILE|latest|best"
Precision = Literal["fp32", "bf16", "fp16"]
MAX_THREADS, MAX_SEED = 1024, 2**63 - 1
LENGTHS = ("epochs", "steps", "time")
"""Settings that say how long to train, each in a way of its own."""


@dataclass(frozen=True, kw_only=True)
class Data(Settings):
    """The data set."""

    PANEL: ClassVar[str | None] = "Data"

    data: str = setting(
        "digits",
        "A folder, zip or .npz file of pictures, or digits or faces (embedded), mnist, fashion-mnist, kmnist, cifar10, "
        "cifar100, stacked-mnist, ring, grid.",
        metavar="NAME|DIR|FILE",
        is_path=True,
        fixed=True,
        completes="data",
    )
    data_root: str | None = setting(
        None,
        "Folder where data sets are found or downloaded to.",
        metavar="DIR",
        is_path=True,
        default_in_words="$GANCLI_DATA_ROOT, else the user's cache",
    )
    image_size: str | None = setting(
        None,
        "Resize images to 64 or 64x96 (height first).",
        metavar="N|HxW",
        default_in_words="as they are",
        fixed=True,
    )


@dataclass(frozen=True, kw_only=True)
class Reading(Settings):
    """Treatment of the data."""

    PANEL: ClassVar[str | None] = "Data"

    cache: bool = setting(True, "Keep decoded pictures in the user's cache; otherwise decode them whenever needed.")
    mirror: bool = setting(False, "Flip half of the real images left to right.", fixed=True)


@dataclass(frozen=True, kw_only=True)
class Gan(Settings):
    """The GAN, and its differences from the recipe."""

    PANEL: ClassVar[str | None] = "GAN"

    recipe: str = setting(
        "auto",
        "Which GAN; `gancli recipes` lists them.",
        metavar="NAME",
        fixed=True,
        default_in_words="auto, the best for such data",
        completes="recipe",
    )
    hyperparameters: Mapping[str, Any] = setting(
        dict, "Hyperparameters that differ from the recipe's own; `gancli recipes NAME` lists them.", fixed=True
    )
    init_from: str | None = setting(
        None,
        "Start from the weights of a run, its latest or best generator, or a file, with new optimizers; layers that "
        "do not fit begin anew, classes are taken by name.",
        metavar=RUN_OR_FILE,
        is_path=True,
        fixed=True,
        completes="run",
    )
    autoencoder: str | None = setting(
        None,
        "Train the GAN in the latents of an earlier run's autoencoder: its folder, a generator file, latest or best.",
        metavar="RUN",
        is_path=True,
        fixed=True,
        completes="run",
    )
    augment: Literal["auto", "none", "diffaug", "ada", "diffusion", "diffusion-uniform"] = setting(
        "auto",
        "Differentiable augmentation of what D sees, for few images; ada and diffusion grow with D's overfitting.",
        fixed=True,
        default_in_words="auto, as the recipe does for so many images",
    )
    top_k: float = setting(
        1.0,
        "Train G on the top share of fakes by D's score; all of them at first, 1 % less each epoch, down to this "
        "share.",
        above=0,
        at_most=1,
        metavar="SHARE",
        fixed=True,
    )
    freeze_d: int = setting(
        0,
        "With --init-from: keep so many of the lowest layers of D as they are.",
        at_least=0,
        metavar="LAYERS",
        fixed=True,
    )


@dataclass(frozen=True, kw_only=True)
class Length(Settings):
    """Length, batch and seed."""

    PANEL: ClassVar[str | None] = "Length"

    epochs: float | None = setting(None, "Passes over the training images.", above=0, default_in_words="the recipe's")
    steps: int | None = setting(None, "Generator updates, instead of --epochs.", above=0)
    time: str | None = setting(
        None,
        "Wall-clock time, instead of --epochs: 20m, 1h30m or overnight (8 h). Steps that are timed first say how many "
        "fit into it, beside evaluations.",
        metavar="TIME",
    )
    batch_size: int | Literal["auto"] | None = setting(
        None,
        "Real images that a step of D sees, over all processes. auto: the recipe's if a step of it fits into "
        "memory, otherwise in parts, or fewer.",
        above=0,
        metavar="N|auto",
        default_in_words="the recipe's",
        fixed=True,
    )
    accumulate: int = setting(
        1, "Work through a batch in parts, to save memory; the result is the same.", above=0, metavar="PARTS"
    )
    seed: int = setting(0, "The same seed repeats the run exactly.", at_least=0, limit=MAX_SEED, fixed=True)


@dataclass(frozen=True, kw_only=True)
class Machine(Settings):
    """The device and its arithmetic."""

    PANEL: ClassVar[str | None] = "Machine"

    device: str = setting(
        "auto", "auto, cpu, cuda, cuda:N or mps.", metavar="DEVICE", completes=("auto", "cpu", "cuda", "mps")
    )
    precision: Precision = setting(
        "fp32",
        "Arithmetic of the networks: bf16 is faster on new hardware, fp16 on older GPUs. Losses, penalties "
        "and weights stay in fp32.",
    )
    threads: int | None = setting(
        None, "CPU threads.", above=0, limit=MAX_THREADS, default_in_words="all cores, one for small images"
    )
    matmul: Literal["auto", "default", "onednn"] = setting(
        "auto", "Library that multiplies float32 matrices on the CPU; auto: oneDNN where it is clearly faster."
    )
    compile: Literal["auto", "on", "off"] = setting(
        "auto", "Compile the step; auto tries it in long runs and keeps it where a step is clearly faster."
    )
    deterministic: bool = setting(False, "Refuse operations whose result differs from run to run (CUDA).")


@dataclass(frozen=True, kw_only=True)
class Folder(Settings):
    """The run's folder."""

    PANEL: ClassVar[str | None] = "Files of the run"

    out: str = setting(
        "runs", "Folder that holds runs; this one gets the next number in it.", metavar="DIR", is_path=True
    )
    name: str | None = setting(None, "Name of the run.", default_in_words="data-recipe", metavar="NAME")


@dataclass(frozen=True, kw_only=True)
class Intervals(Settings):
    """Intervals of checkpoints, samples, evaluations, metrics and the watch."""

    PANEL: ClassVar[str | None] = "Files of the run"

    save_every: int | None = setting(
        None,
        "Steps between checkpoints.",
        at_least=0,
        metavar="STEPS",
        default_in_words="20 over the run, 500 apart at least",
    )
    sample_every: int | None = setting(
        None,
        "Steps between sample grids; 0: only at the end.",
        at_least=0,
        metavar="STEPS",
        default_in_words="20 over the run",
    )
    eval_every: int | None = setting(
        None,
        "Steps between quick evaluations, which choose the best checkpoint; 0: none.",
        at_least=0,
        metavar="STEPS",
        default_in_words="20 over the run, none in a short one",
    )
    best_metric: str = setting(
        "auto",
        "Which of their figures chooses: fd, kid, precision, recall, density, coverage, modes, reverse_kl, "
        "class_kl; of points reverse_kl, modes, high_quality.",
        metavar="NAME",
        default_in_words="auto, the first",
    )
    log_every: int = setting(50, "Steps that a line of metrics averages over.", above=0, metavar="STEPS")
    watch_every: int = setting(
        100, "Steps between measurements of the GAN's health; 0: none.", at_least=0, metavar="STEPS"
    )
    on_failure: Literal["warn", "stop", "rollback"] = setting(
        "warn",
        "On an alarm: warn, stop with exit code 3, or roll back to a healthy checkpoint and go on with other "
        "draws and lower learning rates.",
    )
    keep: int = setting(3, "Newest checkpoints to keep, beside the best.", above=0)


@dataclass(frozen=True, kw_only=True)
class TrainConfig(Intervals, Folder, Machine, Length, Gan, Reading, PictureOptions, Data):
    """Everything that determines a run. Its fields are those of its bases, the last base first."""

    OVER_A_FILE: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        lengths = [f"--{name}" for name in LENGTHS if getattr(self, name) is not None]
        if len(lengths) > 1:
            raise UsageError(f"{' and '.join(lengths)} exclude each other; give one of them.")
        if self.time is not None:
            parse_duration(self.time)
        if self.freeze_d and not self.init_from:
            raise UsageError("--freeze-d keeps weights that --init-from gave; name a run or generator file there.")
        if self.autoencoder and self.init_from:
            raise UsageError("--init-from brings an autoencoder too; remove it or --autoencoder.")
        if self.image_size is not None:
            parse_image_size(self.image_size)


RESUME_FIXED = tuple(name for name, each in declarations(TrainConfig).items() if each.setting.fixed)
"""Settings that a resumed run cannot change, because it would be another run."""


def merge(file: Mapping[str, Any], settings: Sequence[str], flags: Mapping[str, Any]) -> dict[str, Any]:
    """Untyped values of a run: flags that are not None override ``--set key=value``, which overrides the file.

    A key that is not a field of `TrainConfig` is a hyperparameter of the recipe.
    """
    names = {f.name for f in fields(TrainConfig)}
    merged = {name: value for name, value in file.items() if name != "hyperparameters"}
    hyperparameters = _table(file.get("hyperparameters", {}))
    given: dict[str, Any] = {}
    for assignment in settings:
        name, equals, value = assignment.partition("=")
        if not equals or not name:
            raise UsageError(f"--set {assignment!r} is not of the form key=value.")
        (given if name in names else hyperparameters)[name.strip()] = value.strip()
    given |= {name: value for name, value in flags.items() if value is not None}
    if any(name in given for name in LENGTHS):
        merged = {name: value for name, value in merged.items() if name not in LENGTHS}
    return merged | given | {"hyperparameters": hyperparameters | _table(given.get("hyperparameters", {}))}


def _table(value: Any) -> dict[str, Any]:
    return convert(value, Mapping[str, Any], f"hyperparameters={value!r}")

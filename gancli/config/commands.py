"""What each command is told: dataclasses whose fields are its arguments and flags, and the keywords in Python.

A class without ``Flags`` in its name is what the function in Python takes; its ``Flags`` add what only a shell needs.
"""

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import ClassVar, Literal

from gancli.config.pictures import Bad, Labels, PictureOptions
from gancli.config.settings import REQUIRED, Settings, like, setting
from gancli.config.train import (
    MAX_SEED,
    Data,
    Gan,
    Intervals,
    Length,
    Machine,
    Reading,
    TrainConfig,
)

MAX_IMAGES, MAX_SETS, MAX_SIDE = 10_000_000, 1000, 1024
RUN_OR_FILE = "RUN|FILE|latest|best"
View = Literal["auto", "rich", "tqdm", "plain", "none"]


def _silent(done: int, total: int) -> None:
    pass


@dataclass(frozen=True, kw_only=True)
class Output(Settings):
    """How a command prints its result."""

    PANEL: ClassVar[str | None] = "What is shown"

    json: bool = setting(False, "Print the result as one JSON object.", flags=("--json",))
    quiet: bool = setting(False, "No progress and no notes; warnings and the result stay.", flags=("--quiet", "-q"))


@dataclass(frozen=True)
class Start(Settings):
    """The file and the texts that a configuration starts from."""

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
    )


@dataclass(frozen=True, kw_only=True)
class Resuming(Settings):
    """Which run to go on with."""

    PANEL: ClassVar[str | None] = "Files of the run"

    resume: str | Path | None = setting(
        None,
        "Go on exactly where a run stopped: 'latest' under --out, a run's folder, or a checkpoint.",
        metavar="PATH|latest",
        is_path=True,
    )


@dataclass(frozen=True, kw_only=True)
class BesideConfig(Resuming, Start):
    """Settings of a training beside its configuration."""

    PANEL: ClassVar[str | None] = "What is shown"

    progress: View = setting("auto", "How progress is shown, on stderr.")


@dataclass(frozen=True, kw_only=True)
class BesideConfigFlags(Output, BesideConfig):
    """The same, and what only a shell needs."""

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
    """Where ``gancli verify-resume`` breaks a run off."""

    at: int | None = setting(
        None, "Step after which the run is broken off.", metavar="STEP", default_in_words="half of --steps"
    )


@dataclass(frozen=True, kw_only=True)
class VerifyResumeFlags(VerifyResume, Intervals, Machine, Length, Gan, Reading, PictureOptions, Data):
    """Settings of ``gancli verify-resume``: where it breaks off, and what is trained and how."""


@dataclass(frozen=True)
class Sampling(Settings):
    """Settings of ``gancli.sample``."""

    ckpt: str | Path = setting(
        REQUIRED,
        "A run, its latest or best generator, or a file: gen.pth or a checkpoint. Nothing else is needed.",
        metavar=RUN_OR_FILE,
        positional="also",
        is_path=True,
    )
    _: KW_ONLY
    n: int = setting(64, "How many images.", above=0, flags=("--n", "-n"))
    seed: int = setting(0, "Image k of a seed is always the same picture.", at_least=0, limit=MAX_SEED)
    seeds: str | Sequence[int] | None = setting(
        None, "Draw just these image numbers of the seed, instead of the first --n.", metavar="0-7,12"
    )
    classes: str | Sequence[str] | None = setting(
        None, "Draw these classes in turn (conditional GANs); quote a name that has a comma.", metavar="3,7"
    )
    trunc: float | None = setting(
        None,
        "Bound of the latent's values: better images, less varied.",
        above=0,
        metavar="BOUND",
        default_in_words="none",
    )
    interpolate: int | None = setting(
        None, "Draw so many images on the way from each to the next, and back to the first.", above=0, metavar="FRAMES"
    )
    device: str = like(Machine, "device")
    batch_size: int | None = setting(
        None,
        "Images a forward pass takes; rounded up to a multiple of 16.",
        above=0,
        default_in_words="by image size",
    )


@dataclass(frozen=True)
class Loading(Settings):
    """Settings of ``gancli.load``."""

    ckpt: str | Path = like(Sampling, "ckpt")
    device: str = like(Machine, "device")


@dataclass(frozen=True, kw_only=True)
class Target(Settings):
    """Where images are written to."""

    out: str | None = setting(
        None,
        "A grid (.png, .jpg, .webp), an array (.npy, .npz; uint8 N H W C), an animation (.gif), or a folder for single "
        "images.",
        metavar="PATH",
        is_path=True,
        default_in_words="samples-0001.png, counted up",
    )
    overwrite: bool = setting(False, "Replace what is at --out.", flags=("--overwrite",))


@dataclass(frozen=True, kw_only=True)
class SampleFlags(Output, Target, Sampling):
    """Settings of ``gancli sample``."""

    one_class: Sequence[str] = setting(
        (), "Draw this class; repeatable, and taken literally.", metavar="NAME", flags=("--class",)
    )
    form: Literal["png", "jpg", "webp"] | None = setting(
        None, "Format of the pictures in a folder.", flags=("--format",), default_in_words="png"
    )


@dataclass(frozen=True)
class Reconstructing(Settings):
    """Settings of ``gancli.reconstruct``."""

    ckpt: str | Path = like(
        Sampling, "ckpt", meaning="A run or generator file of a recipe with an encoder, such as vaegan."
    )
    _: KW_ONLY
    data: str | Path | None = like(
        Data,
        "data",
        default=None,
        meaning="Whose held-out images.",
        default_in_words="the data it was trained on",
    )
    data_root: str | Path | None = like(Data, "data_root")
    n: int = like(Sampling, "n", meaning="How many of the held-out images, the first ones.")
    device: str = like(Machine, "device")


@dataclass(frozen=True, kw_only=True)
class ReconstructFlags(Output, Target, Reconstructing):
    """Settings of ``gancli reconstruct``."""

    out: str | None = like(
        Target,
        "out",
        meaning="Rows of images above their reconstructions (.png), or the reconstructions as an array (.npy) or in a "
        "folder.",
    )


@dataclass(frozen=True)
class Measuring(Settings):
    """Settings of ``gancli.evaluate``."""

    ckpt: str | Path | None = like(Sampling, "ckpt", default=None)
    _: KW_ONLY
    fake: str | Path | None = setting(
        None,
        "Generated pictures, features or mu and sigma, from anywhere.",
        metavar="DIR|ZIP|FILE.npz",
        is_path=True,
    )
    data: str | Path | None = setting(
        None,
        "Real images to compare with: a named set's held-out ones, or half of the pictures of a folder.",
        metavar="NAME|DIR|ZIP|FILE.npz",
        flags=("--data", "--real"),
        is_path=True,
        default_in_words="what the generator was trained on",
    )
    train: str | Path | None = setting(
        None,
        "With --fake: what the generator was trained on, if it is not a split of --real; all of --real is compared "
        "with then.",
        metavar="NAME|DIR|ZIP|FILE.npz",
        is_path=True,
    )
    data_root: str | Path | None = like(Data, "data_root")
    metrics: str | Sequence[str] = setting(
        "standard", "Names of metrics, or the groups fast, standard and full.", metavar="A,B,..."
    )
    n: int | None = setting(
        None,
        "Images on each side.",
        above=0,
        at_most=MAX_IMAGES,
        flags=("--n", "-n"),
        default_in_words="as many as are held out",
    )
    sets: int = setting(3, "Generated sets of N images each, for the error bars.", above=0, at_most=MAX_SETS)
    seed: int = setting(0, "Which images are drawn.", at_least=0, limit=MAX_SEED)
    extractor: str = setting(
        "auto",
        "auto (a classifier of the data, or lite0 for pictures without labels), lite0, random, pixels; with --weights "
        "inception, clip, vgg16 or dinov2.",
        metavar="NAME",
    )
    weights: str | Path | None = setting(None, "Weights of that extractor: a state dict.", metavar="FILE", is_path=True)
    device: str = like(Machine, "device")
    cache: bool = like(Reading, "cache")
    labels: Labels = like(
        PictureOptions,
        "labels",
        meaning="Classes of the real pictures: those of the folders they are in (folder), or none.",
        default_in_words="a dataset.json's; with --ckpt, as in training",
    )
    bad_images: Bad = like(PictureOptions, "bad_images", meaning="What to do with pictures that cannot be read.")
    save_features: str | Path | None = setting(None, "New folder for features, .npz.", metavar="DIR", is_path=True)
    plots: str | Path | None = setting(
        None,
        "New folder for the report and plots.",
        metavar="DIR",
        flags=("--out",),
        is_path=True,
        default_in_words="none; with --run, evaluation-0001 in it",
    )
    on_batch: Callable[[int, int], None] = _silent
    on_progress: Callable[[int, int], None] = _silent


@dataclass(frozen=True, kw_only=True)
class EvaluateFlags(Output, Measuring):
    """Settings of ``gancli eval``."""

    run: str | None = setting(
        None, "A run, of which each kept checkpoint is measured.", metavar="RUN|latest", is_path=True
    )
    fail_if: Sequence[str] = setting(
        (),
        "End with exit code 4 if this holds (with --run: of the last checkpoint); repeatable, or several with commas.",
        metavar="'coverage<0.5'",
    )
    csv: bool = setting(False, "Print a line for each figure.", flags=("--csv",))


@dataclass(frozen=True, kw_only=True)
class DoctorFlags(Output):
    """Settings of ``gancli doctor``."""

    run: str = setting(
        "latest",
        "Folder of a run, finished or not.",
        metavar="RUN|latest",
        positional="also",
        is_path=True,
        default_in_words="latest, the newest in runs",
    )
    plot: str | None = setting(
        None, "New file for the curves.", metavar="FILE.png", is_path=True, default_in_words="RUN/health.png"
    )


@dataclass(frozen=True, kw_only=True)
class CompareFlags(Settings):
    """Settings of ``gancli compare``."""

    reports: Sequence[str] = setting(
        REQUIRED,
        "Runs that were evaluated, or what gancli eval --json printed.",
        metavar="RUN|REPORT.json ...",
        positional="only",
        is_path=True,
    )
    json: bool = like(Output, "json")


@dataclass(frozen=True, kw_only=True)
class CheckFlags(Output, PictureOptions):
    """Settings of ``gancli data check``."""

    data: str = like(
        Data,
        "data",
        default=REQUIRED,
        meaning="A folder or zip file of pictures.",
        metavar="DIR|ZIP",
        positional="also",
    )
    image_size: str | None = like(Data, "image_size")
    sheet: str | None = setting(
        None, "Draw 64 of the pictures as training sees them.", metavar="FILE.png", is_path=True
    )


@dataclass(frozen=True, kw_only=True)
class CacheFlags(Settings):
    """Settings of ``gancli data cache``."""

    clear: bool = setting(False, "Delete what is kept.", flags=("--clear",))
    json: bool = like(Output, "json")


@dataclass(frozen=True, kw_only=True)
class RecipesFlags(Settings):
    """Settings of ``gancli recipes``."""

    name: str | None = setting(None, "Show this recipe's hyperparameters.", metavar="NAME", positional="only")
    image_size: str = setting("32", "Size of the images for which weights are counted.", metavar="N|HxW")
    channels: int = setting(3, "Their channels.", at_least=1, at_most=4)
    classes: int = setting(10, "Their classes, for conditional GANs.", at_least=1)
    json: bool = like(Output, "json")


COMMANDS: dict[str, type[Settings]] = {
    "train": TrainFlags,
    "sample": SampleFlags,
    "eval": EvaluateFlags,
    "compare": CompareFlags,
    "reconstruct": ReconstructFlags,
    "doctor": DoctorFlags,
    "verify-resume": VerifyResumeFlags,
    "data check": CheckFlags,
    "data cache": CacheFlags,
    "recipes": RecipesFlags,
}
"""What each command is told, in the order of the help."""

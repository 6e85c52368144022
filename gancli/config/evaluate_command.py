"""Settings of the commands that measure images: ``gancli eval`` and ``gancli compare``.

A class with ``Flags`` in its name adds what only a shell needs; the one without is what the Python function takes.
"""

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

from gancli.config.output import Output
from gancli.config.pictures import Bad, Frames, Labels, PictureOptions
from gancli.config.sample_command import MAX_IMAGES, Sampling
from gancli.config.settings import REQUIRED, Settings, like, setting
from gancli.config.train import MAX_SEED, Data, Machine, Reading

MAX_SETS = 1000
AS_TRAINED = "with --ckpt as in training, else the usual"


def _silent(done: int, total: int) -> None:
    pass


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
        completes="data",
    )
    train: str | Path | None = setting(
        None,
        "With --fake: what the generator was trained on, if it is not a split of --real; all of --real is compared "
        "with then.",
        metavar="NAME|DIR|ZIP|FILE.npz",
        is_path=True,
        completes="data",
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
        completes=("auto", "lite0", "random", "pixels", "inception", "clip", "vgg16", "dinov2"),
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
    range: str = like(PictureOptions, "range", default_in_words=AS_TRAINED)
    frames: Frames = like(PictureOptions, "frames", default_in_words=AS_TRAINED)
    max_pixels: int = like(PictureOptions, "max_pixels")
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
        None,
        "A run, of which each kept checkpoint is measured.",
        metavar="RUN|latest",
        is_path=True,
        completes="run",
    )
    fail_if: Sequence[str] = setting(
        (),
        "End with exit code 4 if this holds (with --run: of the last checkpoint); repeatable, or several with commas.",
        metavar="'coverage<0.5'",
    )
    csv: bool = setting(False, "Print a line for each figure.", flags=("--csv",))


@dataclass(frozen=True, kw_only=True)
class CompareFlags(Settings):
    """Settings of ``gancli compare``."""

    reports: Sequence[str] = setting(
        REQUIRED,
        "Runs that were evaluated, or what gancli eval --json printed.",
        metavar="RUN|REPORT.json ...",
        positional="only",
        is_path=True,
        completes="run",
    )
    json: bool = like(Output, "json")

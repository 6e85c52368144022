"""Settings of the commands that draw images: ``gancli sample``, ``gancli reconstruct`` and `gancli.load`.

A class with ``Flags`` in its name adds what only a shell needs; the one without is what the Python function takes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import ClassVar, Literal

from gancli.config.output import Output
from gancli.config.pictures import Frames, PictureOptions
from gancli.config.settings import REQUIRED, Settings, like, setting
from gancli.config.train import MAX_SEED, RUN_OR_FILE, Data, Machine
from gancli.errors import UsageError

MAX_IMAGES = 10_000_000
"""Images per command."""
MAX_LABEL = 200
"""Characters of a text in a picture or its mark."""


@dataclass(frozen=True)
class Sampling(Settings):
    """Settings of ``gancli.sample``."""

    ckpt: str | Path = setting(
        REQUIRED,
        "A run, its latest or best generator, or a file: gen.pth or a checkpoint. Nothing else is needed.",
        metavar=RUN_OR_FILE,
        positional="also",
        is_path=True,
        completes="run",
    )
    _: KW_ONLY
    n: int = setting(64, "How many images.", above=0, flags=("--n", "-n"))
    seed: int = setting(0, "Image k of a seed is always the same picture.", at_least=0, limit=MAX_SEED)
    seeds: str | Sequence[int] | None = setting(
        None, "Draw just these image numbers of the seed, instead of the first --n.", metavar="0-7,12"
    )
    classes: str | Sequence[str] | None = setting(
        None,
        "Draw these classes in turn (conditional GANs); quote a name that has a comma.",
        metavar="3,7",
        completes="classes",
    )
    condition: str | Mapping[str, float] | None = setting(
        None,
        "Draw with these values (generators that draw by conditions); others are those of training pictures.",
        metavar="NAME=NUMBER,...",
    )
    trunc: float | None = setting(
        None,
        "Bound of the latent's values; for generators with styles, the share of their way from the mean style. Better "
        "images, less varied.",
        above=0,
        metavar="BOUND",
        default_in_words="none",
    )
    mix: str | None = setting(
        None,
        "Draw image 3, then with more and more of the finer styles of image 5 (generators with styles).",
        metavar="3:5",
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
    """The file or folder for images."""

    out: str | None = setting(
        None,
        "A grid (.png, .jpg, .webp), an array (.npy, .npz; uint8 N H W C), a film (.gif, .apng, .mp4; .webp with "
        "--interpolate), or a folder for single images.",
        metavar="PATH",
        is_path=True,
        default_in_words="samples-0001.png, counted up",
    )
    overwrite: bool = setting(False, "Replace what is at --out.", flags=("--overwrite",))


@dataclass(frozen=True, kw_only=True)
class Marking(Settings):
    """The mark and the label in picture files."""

    PANEL: ClassVar[str | None] = "Marks"

    mark: bool = setting(
        True, "Mark pictures as generated in their metadata (XMP), with the generator's hash and the image's number."
    )
    producer: str | None = setting(
        None, "Who generates the pictures: adds the record of GB 45438-2025, AIGC.", metavar="NAME"
    )
    label: str | None = setting(
        None, "Text that is drawn in a strip under each picture, such as AI-generated.", metavar="TEXT"
    )
    label_font: str | None = setting(
        None,
        "Font of --label, for signs that the built-in one does not have.",
        metavar="FILE.ttf",
        is_path=True,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for flag, text in ("--producer", self.producer), ("--label", self.label):
            if text is not None and len(text) > MAX_LABEL:
                raise UsageError(f"{flag} has {len(text):,} characters; {MAX_LABEL} at most.")
        if self.producer is not None and not self.mark:
            raise UsageError("--producer is a part of the mark, which --no-mark leaves out; remove one of them.")
        if self.label_font is not None and self.label is None:
            raise UsageError("--label-font is for --label TEXT; add it.")


@dataclass(frozen=True, kw_only=True)
class SampleFlags(Output, Marking, Target, Sampling):
    """Settings of ``gancli sample``."""

    one_class: Sequence[str] = setting(
        (),
        "Draw this class; repeatable, and taken literally.",
        metavar="NAME",
        flags=("--class",),
        completes="class",
    )
    form: Literal["png", "jpg", "webp"] | None = setting(
        None, "Format of the pictures in a folder.", flags=("--format",), default_in_words="png"
    )


@dataclass(frozen=True)
class Reconstructing(Settings):
    """Settings of ``gancli.reconstruct``."""

    ckpt: str | Path = like(
        Sampling, "ckpt", meaning="A run or generator file of a recipe with an encoder, such as vaegan or autoencoder."
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
    range: str = like(PictureOptions, "range", default_in_words="as in training")
    frames: Frames = like(PictureOptions, "frames", default_in_words="as in training")
    max_pixels: int = like(PictureOptions, "max_pixels")
    device: str = like(Machine, "device")


@dataclass(frozen=True, kw_only=True)
class ReconstructFlags(Output, Marking, Target, Reconstructing):
    """Settings of ``gancli reconstruct``."""

    out: str | None = like(
        Target,
        "out",
        meaning="Rows of images above their reconstructions (.png), or the reconstructions as an array (.npy) or in a "
        "folder.",
    )

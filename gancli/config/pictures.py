"""Settings for reading pictures from a folder or an archive."""

import math
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

from gancli.config.settings import Settings, setting
from gancli.errors import UsageError

Labels = Literal["auto", "none", "folder"]
Colour = Literal["auto", "rgb", "grey", "rgba"]
Alpha = Literal["white", "black", "keep"]
Fit = Literal["crop", "pad", "stretch"]
Small = Literal["upscale", "skip"]
Bad = Literal["error", "skip"]
Frames = int | Literal["first", "all"]


@dataclass(frozen=True, kw_only=True)
class PictureOptions(Settings):
    """One setting for each way in which pictures can differ; the defaults suit photographs."""

    PANEL: ClassVar[str | None] = "Data"

    labels: Labels = setting(
        "auto",
        "Labels of pictures: the top folder of each (folder), or a dataset.json or labels.csv if there is one (auto).",
        fixed=True,
    )
    color: Colour = setting(
        "auto", "Channels of pictures.", default_in_words="auto, grey if all are, else RGB", fixed=True
    )
    alpha: Alpha = setting("white", "Background of transparent pixels; keep needs --color rgba.", fixed=True)
    fit: Fit = setting(
        "crop", "How pictures get one shape: their middle, a frame around them, or distorted.", fixed=True
    )
    small_images: Small = setting("upscale", "What to do with pictures smaller than --image-size.", fixed=True)
    bad_images: Bad = setting(
        "error", "What to do with files that cannot be read; more than a tenth of them always stop the run."
    )
    holdout: float = setting(
        0.1, "Share of the pictures that training never sees, chosen by their content.", above=0, below=1,
        metavar="SHARE", fixed=True,
    )  # fmt: skip

    range: str = setting(
        "auto", "Values that become black and white in pictures of more than 8 bits: those of the whole set (auto), "
        "of the file's type (full), or two numbers such as 0,4095.", metavar="auto|full|LO,HI", fixed=True,
    )  # fmt: skip
    frames: Frames = setting(
        "first", "Frames taken of animations and pages taken of TIFF files.", above=0, metavar="first|all|N",
        fixed=True,
    )  # fmt: skip
    max_pixels: int = setting(
        89_000_000, "Largest picture that is decoded, in pixels; a JPEG counts as large as it is decoded.", above=0,
        limit=2**40, metavar="N",
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        parsed_range(self.range)
        if self.alpha == "keep" and self.color != "rgba":
            raise UsageError("--alpha keep needs --color rgba.")

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def parsed_range(choice: str) -> tuple[float, float] | None:
    """The two numbers of ``--range LO,HI``; None for ``auto`` and ``full``. UsageError for anything else."""
    if choice in ("auto", "full"):
        return None
    try:
        low, high = (float(number) for number in choice.split(","))
    except ValueError:
        low = high = math.nan
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise UsageError(f"--range {choice!r} is neither auto nor full nor two numbers such as 0,4095.")
    return low, high

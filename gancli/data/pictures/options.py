"""What is done about each way in which pictures of a folder or an archive can differ."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

Labels = Literal["auto", "none", "folder"]
Colour = Literal["auto", "rgb", "grey", "rgba"]
Alpha = Literal["white", "black", "keep"]
Fit = Literal["crop", "pad", "stretch"]
Small = Literal["upscale", "skip"]
Bad = Literal["error", "skip"]


@dataclass(frozen=True)
class PictureOptions:
    """One choice per surprise; the defaults suit photographs."""

    labels: Labels = "auto"
    """``folder``: the first folder below the root is the class; ``auto``: what a ``dataset.json`` says, if any."""
    color: Colour = "auto"
    """``auto``: grey if every picture is, else RGB."""
    alpha: Alpha = "white"
    """What shines through transparent pixels; ``keep`` needs RGBA."""
    fit: Fit = "crop"
    """How a picture gets the shape asked for: its middle, a frame about it, or distorted."""
    small_images: Small = "upscale"
    """What happens to pictures smaller than asked for."""
    bad_images: Bad = "error"
    """What happens to files that cannot be read."""
    holdout: float = 0.1
    """Share of the pictures that training never sees."""

    def __post_init__(self) -> None:
        if self.alpha == "keep" and self.color != "rgba":
            raise ValueError("alpha=keep needs color=rgba.")
        if not 0 < self.holdout < 1:
            raise ValueError(f"holdout={self.holdout} must be between 0 and 1.")

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

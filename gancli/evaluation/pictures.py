"""Describe pictures before they are resized and converted for comparison."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

ARRAY = "array"
"""Format of pixels that are not from a picture file."""
LOSSY = ("JPEG", "MPO")
MAX_EXAMINED = 200
"""Pictures whose colours and format are examined."""
MOST = 0.5
FEW = 0.1
"""Shares of pictures: half of them for most, a tenth for few."""


@dataclass(frozen=True)
class Pictures:
    """Counts over the pictures of one side, at most `MAX_EXAMINED` of them."""

    sizes: Mapping[str, int]
    """By ``heightxwidth``, such as ``64x64``."""
    colours: Mapping[str, int]
    """``grey`` where all channels are equal, else ``RGB`` or ``RGBA``."""
    formats: Mapping[str, int]
    """By file format, such as ``PNG``, or `ARRAY`."""

    def __str__(self) -> str:
        files = () if ARRAY in self.formats else (self.formats,)
        return " ".join(map(_most, (self.sizes, self.colours, *files)))

    def share(self, colour: str) -> float:
        """Share of the pictures with this colour."""
        return self.colours.get(colour, 0) / max(1, sum(self.colours.values()))


def pictures_of(images: Tensor) -> Pictures:
    """Sizes and colours of an array, uint8 ``(N, C, H, W)``."""
    some = images[:: max(1, len(images) // MAX_EXAMINED)][:MAX_EXAMINED]
    grey = int((some[:, :3] == some[:, :1]).flatten(1).all(1).sum())
    counts = {"RGBA" if images.shape[1] == 4 else "RGB": len(some) - grey, "grey": grey}
    colours = {colour: count for colour, count in counts.items() if count}
    return Pictures({size_of(*images.shape[2:]): len(some)}, colours, {ARRAY: len(some)})


def size_of(height: int, width: int) -> str:
    """``64x48`` for 64 rows of 48 pixels."""
    return f"{height}x{width}"


def differences(generated: Pictures, real: Pictures, compared_at: str) -> list[str]:
    """Sentences on differences between both sides' pictures."""
    said = _size(generated, real, compared_at), _colour(generated, real), _format(generated, real)
    return [text for text in said if text]


def _size(generated: Pictures, real: Pictures, compared_at: str) -> str | None:
    changed = {size: count for size, count in generated.sizes.items() if size != compared_at}
    if not changed:
        return None
    height, width = map(int, compared_at.split("x"))
    rows, columns = map(int, max(changed, key=changed.__getitem__).split("x"))
    verb = "enlarged" if min(rows / height, columns / width) < 1 else "shrunk"
    cropped = "" if rows * width == columns * height else ", their edges cut off,"
    return (
        f"size: generated pictures are {_most(generated.sizes)}, real ones {_most(real.sizes)}; the generated were "
        f"{verb}{cropped} to {compared_at}, which changes all figures."
    )


def _colour(generated: Pictures, real: Pictures) -> str | None:
    ours, theirs = generated.share("grey"), real.share("grey")
    if ours > MOST and theirs < FEW:
        return f"colour: {ours:.0%} of the generated pictures are grey, of real ones {theirs:.0%}."
    if ours < FEW and theirs > MOST:
        return f"colour: {theirs:.0%} of the real pictures are grey, of generated ones {ours:.0%}."
    return None


def _format(generated: Pictures, real: Pictures) -> str | None:
    """Real JPEGs are usual, and a generator learns their artefacts; generated ones add their own."""
    ours, theirs = (sum(each.formats.get(name, 0) for name in LOSSY) for each in (generated, real))
    if ours > MOST * sum(generated.formats.values()) and theirs < FEW * sum(real.formats.values()):
        return "format: the generated pictures are JPEGs and the real ones are not; JPEG's losses alone change figures."
    return None


def _most(counts: Mapping[str, int]) -> str:
    """The most frequent of them, and how many others there are."""
    if not counts:
        return "?"
    first = max(counts, key=counts.__getitem__)
    return first if len(counts) == 1 else f"{first} (and {len(counts) - 1} other{'s' if len(counts) > 2 else ''})"

"""Add the mark to picture files, and a visible label below the picture."""

import logging
from dataclasses import dataclass, replace

from torch import Tensor

from gancli.config.sample_command import Marking
from gancli.errors import UsageError
from gancli.sampling.mark import Mark
from gancli.sampling.visible_label import VisibleLabel

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stamp:
    """A mark and a label, or neither."""

    mark: Mark | None = None
    label: VisibleLabel | None = None

    def part(self, place: int) -> "Stamp":
        """The stamp of one image alone, by its place among those that are drawn."""
        return replace(self, mark=None if self.mark is None else self.mark.part(place))

    def labelled(self, picture: Tensor) -> Tensor:
        """uint8 ``(C, H, W)`` with the label below it, if there is one."""
        return picture if self.label is None else self.label.under(picture)


PLAIN = Stamp()


@dataclass(frozen=True)
class Stamper:
    """The settings of marks and labels, checked before anything is drawn."""

    told: Marking
    label: VisibleLabel | None

    def stamp(self, mark: Mark) -> Stamp:
        """The stamp of what was drawn."""
        if not self.told.mark:
            return Stamp(None, self.label)
        return Stamp(replace(mark, producer=self.told.producer, label=self.told.label), self.label)


def stamper_for(told: Marking, suffix: str) -> Stamper:
    """Check the flags for a target of this suffix; UsageError for what cannot be done."""
    if told.label is not None and suffix in (".npy", ".npz"):
        raise UsageError(f"--label is drawn under pictures; an {suffix} holds pixels alone. Remove one of them.")
    if told.mark and suffix == ".npy":
        log.info("an .npy file has no place for a mark; an .npz file has.")
    return Stamper(told, VisibleLabel(told.label, told.label_font) if told.label is not None else None)

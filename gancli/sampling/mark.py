"""The mark of a generated picture: that it was generated, by which generator, and which of its images it is.

An image is a function of a generator and a number, so whoever has the ``gen.pth`` can draw it again and compare.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from gancli.data.conditions import Label, default_labels
from gancli.errors import FileFormatError, UsageError
from gancli.sampling import xmp
from gancli.sampling.generator import parse_numbers
from gancli.version import __version__

SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
GENERATED, COMPOSITE = "trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia"
"""IPTC's digital source types: made by a trained model, from nothing or from a picture."""
MAX_PACKET = 60_000
"""Bytes of a mark, of which a JPEG holds 65,502; a longer one names no numbers."""
MAX_TURN = 1000
"""Classes that take turns, beyond which each image's class is named."""


@dataclass(frozen=True)
class Mark:
    """The mark of a picture. Without numbers, the picture cannot be drawn again."""

    generator: str
    """See `network_file.identity`."""
    recipe: str
    version: str = __version__
    """Version of gancli."""
    seed: int | None = None
    numbers: Sequence[int] = ()
    labels: tuple[int, ...] = ()
    """Class numbers of the images, in turn; none for an unconditional generator."""
    classes: tuple[str, ...] = ()
    """Their names."""
    condition: str = ""
    """Conditions that were asked for, ``smile=1,age=0.3``; others are those of known rows."""
    truncation: float | None = None
    frames: int = 1
    """Drawn on the way from each number to the next."""
    mixed: bool = False
    """True if the frames are the mixtures of two numbers' styles."""
    frame: int | None = None
    """The only frame that is shown, on the way from the first number to the second."""
    columns: int | None = None
    is_composite: bool = False
    """True if it was made from a picture, as a reconstruction is."""
    producer: str | None = None
    """Who generated it, for the record of GB 45438-2025."""
    label: str | None = None
    """Text that is drawn under the picture."""

    @property
    def numbers_in_words(self) -> str:
        """``0-2,7``; empty without numbers."""
        return _in_ranges(self.numbers) if self.numbers else ""

    @property
    def count(self) -> int:
        """Images that are shown."""
        if self.frame is not None:
            return 1
        return self.frames if self.mixed else len(self.numbers) * self.frames

    def part(self, place: int) -> "Mark":
        """The mark of one image alone, by its place among those that are drawn."""
        if not self.numbers:
            return self
        if self.mixed:
            return replace(self, frame=place, columns=None)
        first, frame = divmod(place, self.frames)
        numbers = [self.numbers[first]]
        if self.frames > 1:
            numbers.append(self.numbers[(first + 1) % len(self.numbers)])
        turn = slice(first % len(self.labels), first % len(self.labels) + 1) if self.labels else slice(0)
        return replace(
            self,
            numbers=tuple(numbers),
            labels=self.labels[turn],
            classes=self.classes[turn],
            frame=frame if self.frames > 1 else None,
            columns=None,
        )

    def packet(self) -> bytes:
        """The XMP packet; without numbers, classes and conditions if it were too long for a JPEG with them."""
        packet = xmp.packet(dict(self._properties()))
        if len(packet) <= MAX_PACKET:
            return packet
        return replace(self, numbers=(), labels=(), classes=(), condition="").packet()

    def aigc(self) -> str | None:
        """The implicit label of GB 45438-2025, JSON; None without a producer."""
        if self.producer is None:
            return None
        number = f"-{self.seed}-{self.numbers_in_words}" if self.numbers else ""
        record = {
            "Label": "1", "ContentProducer": self.producer, "ProduceID": f"{self.generator[:16]}{number}"[:200],
            "ReservedCode1": "", "ContentPropagator": "", "PropagateID": "", "ReservedCode2": "",
        }  # fmt: skip
        return json.dumps(record, ensure_ascii=False)

    def _properties(self) -> Iterator[tuple[str, xmp.Value]]:
        yield "xmp:CreatorTool", f"gancli {self.version}"
        yield "Iptc4xmpExt:DigitalSourceType", SOURCE_TYPES + (COMPOSITE if self.is_composite else GENERATED)
        yield "Iptc4xmpExt:AISystemUsed", f"gancli {self.recipe}"
        yield "Iptc4xmpExt:AISystemVersionUsed", self.version
        if (record := self.aigc()) is not None:
            yield "TC260:AIGC", record
        yield "gancli:Generator", self.generator
        yield "gancli:Recipe", self.recipe
        counted = "Number" if len(self.numbers) == 1 else "Numbers"
        values = {
            "Seed": self.seed, counted: self.numbers_in_words or None, "Truncation": self.truncation,
            "Frames": self.frames if self.frames > 1 else None, "Mixed": self.mixed or None, "Frame": self.frame,
            "Columns": self.columns, "Condition": self.condition or None,
            "Label": self.label,
        }  # fmt: skip
        for name, value in values.items():
            if value is not None:
                yield f"gancli:{name}", str(value)
        if self.labels:
            yield "gancli:ClassNumbers", ",".join(map(str, self.labels))
            yield "gancli:Classes", self.classes


def mark_in(packet: bytes) -> Mark | None:
    """The mark in an XMP packet, None if it is not one of gancli's; FileFormatError if it says what no mark can."""
    said = xmp.properties_in(packet)
    if "gancli:Generator" not in said:
        return None
    try:
        return _mark_of(said)
    except (KeyError, TypeError, ValueError, AttributeError, UsageError) as error:
        raise FileFormatError(f"its mark is not one that gancli writes ({' '.join(str(error).split())}).") from error


def _mark_of(said: Mapping[str, xmp.Value]) -> Mark:
    own = {name.removeprefix("gancli:"): value for name, value in said.items() if name.startswith("gancli:")}

    def text(name: str) -> str | None:
        value = own.get(name)
        if isinstance(value, tuple):
            raise TypeError(f"{name} is a list")
        return value

    def number(name: str) -> int | None:
        value = text(name)
        return None if value is None else _natural(value)

    numbers, classes, labels = text("Number") or text("Numbers"), own.get("Classes", ()), text("ClassNumbers")
    aigc = said.get("TC260:AIGC")
    return Mark(
        generator=text("Generator") or "",
        recipe=text("Recipe") or "",
        version=str(said.get("xmp:CreatorTool", "")).removeprefix("gancli "),
        seed=number("Seed"),
        numbers=tuple(parse_numbers(numbers)) if numbers else (),
        labels=tuple(map(_natural, labels.split(","))) if labels else (),
        classes=(classes,) if isinstance(classes, str) else classes,
        truncation=None if (bound := text("Truncation")) is None else float(bound),
        frames=number("Frames") or 1,
        mixed=text("Mixed") == "True",
        frame=number("Frame"),
        columns=number("Columns"),
        is_composite=COMPOSITE in str(said.get("Iptc4xmpExt:DigitalSourceType")),
        producer=str(json.loads(str(aigc))["ContentProducer"]) if aigc else None,
        label=text("Label"),
        condition=text("Condition") or "",
    )


def _natural(text: str) -> int:
    if not text.isdecimal() or len(text) > 20:
        raise ValueError(f"{text[:20]!r} is no number")
    return int(text)


def mark_of(
    identity: str,
    recipe: str,
    names: Sequence[str],
    numbers: Sequence[int],
    labels: Sequence[Label] | None = None,
    **more: Any,
) -> Mark:
    """The mark of a picture of these numbered images.

    ``names`` are the generator's classes, of which those of ``labels`` take turns, or else all; ``more`` are fields of
    `Mark`.
    """
    classes = default_labels(numbers, range(len(names))) if labels is None else labels
    turn = turn_of([label for label in classes or () if isinstance(label, int)])
    return Mark(identity, recipe, numbers=numbers, labels=turn, classes=tuple(names[label] for label in turn), **more)


def turn_of(labels: Sequence[int] | None) -> tuple[int, ...]:
    """The shortest sequence that gives the labels when it is repeated; () for none."""
    if not labels:
        return ()
    least = next((n for n in range(1, min(len(labels), MAX_TURN)) if labels[n:] == labels[:-n]), len(labels))
    return tuple(labels[:least])


def _in_ranges(numbers: Sequence[int]) -> str:
    """[0, 1, 2, 7] -> ``0-2,7``."""
    if isinstance(numbers, range) and numbers.step == 1:
        return f"{numbers[0]}-{numbers[-1]}" if len(numbers) > 1 else str(numbers[0])
    breaks = [0, *(i for i, (a, b) in enumerate(pairwise(numbers), 1) if b != a + 1), len(numbers)]
    ends = ((numbers[start], numbers[stop - 1]) for start, stop in pairwise(breaks))
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ends)

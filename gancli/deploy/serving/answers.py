"""The bytes of an answer: a picture, a ZIP file of pictures, JSON with pictures in it, or an array."""

import base64
import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from gancli.deploy.serving.wanted import FORMS, Planned
from gancli.sampling import output, rendering
from gancli.sampling.labels import Labelled, labels_document
from gancli.sampling.stamping import Stamp

TYPES = {"png": "image/png", "webp": "image/webp", "jpeg": "image/jpeg", "npy": "application/octet-stream"}
JSON, ZIP = "application/json", "application/zip"


@dataclass(frozen=True)
class Answer:
    """The content of a response."""

    content: bytes
    type: str
    name: str
    """Name of the file, if it is saved."""


def answer(planned: Planned, images: Tensor, form: str, stamp: Stamp, as_json: bool) -> Answer:
    """The answer for images uint8 ``(N, C, H, W)``.

    One image is the picture itself, several are a ZIP file with what ``gancli sample`` writes into a folder.
    """
    suffix, stem = FORMS[form], f"{planned.model.name}-seed-{planned.drawing.selection.seed}"
    if form == "npy":
        return Answer(output.array_content(images), TYPES[form], f"{stem}.npy")
    pictures = [
        rendering.as_file(image, suffix, stamp.part(place)) for image, place in zip(images, planned.places, strict=True)
    ]
    if as_json:
        return Answer(_json(planned, pictures, form), JSON, f"{stem}.json")
    names = [output.picture_name(_number(planned, place), suffix) for place in planned.places]
    if len(pictures) == 1:
        return Answer(pictures[0], TYPES[form], f"{stem}-{names[0]}")
    return Answer(_zip(names, pictures, planned.drawing.labelled), ZIP, f"{stem}.zip")


def _number(planned: Planned, place: int) -> int:
    return planned.drawing.numbers[place]


def _zip(names: Sequence[str], pictures: Sequence[bytes], labelled: Labelled | None) -> bytes:
    """Stored without compression, which pictures have already; of no date, so that equal pictures are equal files."""
    contents = dict(zip(names, pictures, strict=True))
    if labelled is not None:
        contents["dataset.json"] = labels_document(names, labelled)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in contents.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return file.getvalue()


def _json(planned: Planned, pictures: Sequence[bytes], form: str) -> bytes:
    described = {
        "model": planned.model.name, "generator": planned.model.generator.identity,
        "seed": planned.drawing.selection.seed, "format": form, "images": [*_entries(planned, pictures)],
    }  # fmt: skip
    return json.dumps(described).encode()


def _entries(planned: Planned, pictures: Sequence[bytes]) -> Iterator[Mapping[str, object]]:
    labelled, is_walk = planned.drawing.labelled, planned.drawing.selection.frames > 1
    for place, picture in zip(planned.places, pictures, strict=True):
        named: dict[str, object] = {} if labelled is None else labelled.of(place)
        which = {"frame" if is_walk else "number": _number(planned, place)}
        yield which | named | {"data": base64.b64encode(picture).decode()}

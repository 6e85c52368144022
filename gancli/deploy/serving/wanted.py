"""The body of ``POST /v1/images``, and the drawing that it asks for."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from gancli.config.sample_command import Sampling
from gancli.config.train import MAX_SEED
from gancli.deploy.serving.models import Model
from gancli.deploy.serving.refusal import Refused
from gancli.errors import UsageError, nearest
from gancli.sampling.generator import parse_numbers
from gancli.sampling.plan import Drawing, plan_drawing

MAX_FRAMES = 1000
MAX_TEXT = 4096
FORMS = {"png": "png", "webp": "webp", "jpeg": "jpg", "npy": "npy"}
"""Formats, each with the suffix of its files, which is the format's name in `rendering.FORMATS`."""
OWN_NAMES = {
    "--seeds": "numbers",
    "--seed": "seed",
    "--trunc": "truncation",
    "--classes": "classes",
    "--condition": "conditions",
}
"""Fields of a request by the flags of ``gancli sample``."""
Number = Annotated[int, Field(ge=0, le=MAX_SEED)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Wanted(BaseModel):
    """Images to draw: the same, pixel for pixel, as `gancli sample` draws of these numbers."""

    model_config = ConfigDict(extra="forbid", strict=True)

    model: Name | None = Field(None, description="Name of the generator; the first one if it is left out.")
    seed: Number = Field(0, description="Image k of a seed is always the same picture.")
    numbers: Annotated[list[Number], Field(min_length=1)] | Annotated[str, StringConstraints(max_length=MAX_TEXT)] = (
        Field([0], description='Numbers of the images: a list, or a text such as "0-7,12".')
    )
    classes: Annotated[list[Name], Field(min_length=1)] | None = Field(
        None, description="Draw these classes in turn; all of them if it is left out."
    )
    conditions: Annotated[dict[Name, float], Field(min_length=1)] | None = Field(
        None, description="Draw with these values; others are those of training pictures."
    )
    truncation: float | None = Field(
        None, gt=0, le=1e6, allow_inf_nan=False, description="Bound of the latent's values: better images, less varied."
    )
    interpolate: int | None = Field(
        None, ge=1, le=MAX_FRAMES, description="Draw so many images on the way from each number to the next and back."
    )
    frame: int | None = Field(
        None, ge=0, description="With interpolate: only this image of the way, counted from the first number on."
    )
    format: Literal["png", "webp", "jpeg", "npy"] = Field("png", description="npy is one array, uint8 (N, H, W, C).")


@dataclass(frozen=True)
class Planned:
    """A drawing that a model can do, within its limits."""

    model: Model
    drawing: Drawing
    places: range
    """Which images of the drawing are asked for."""


def plan(wanted: Wanted, models: dict[str, Model]) -> Planned:
    """Check what is wanted; Refused with 404 for an unknown model, and with 422 for what it cannot draw."""
    model = model_called(wanted.model, models)
    frames = wanted.interpolate or 1
    try:
        numbers = _numbers(wanted.numbers, model.max_images)
        told = Sampling(
            model.name, seed=wanted.seed, seeds=numbers, classes=wanted.classes, trunc=wanted.truncation,
            interpolate=wanted.interpolate, condition=wanted.conditions,
        )  # fmt: skip
        places = _places(wanted, len(numbers) * frames)
        if len(places) > model.max_images:
            raise UsageError(f"{len(places):,} images are asked for; {model.max_images:,} at most in one request.")
        return Planned(model, plan_drawing(told, lambda: model.generator), places)
    except UsageError as error:
        raise Refused(422, _in_own_names(str(error))) from error


def model_called(name: str | None, models: dict[str, Model]) -> Model:
    """The model of this name, the first one for None; Refused (404) if there is none."""
    if name is None:
        return next(iter(models.values()))
    if name not in models:
        raise Refused(404, f"there is no model {name!r}; {nearest(name, models)}.")
    return models[name]


def _numbers(given: Sequence[int] | str, most: int) -> Sequence[int]:
    numbers = parse_numbers(given, most) if isinstance(given, str) else given
    if len(numbers) > most:
        raise UsageError(f"--seeds: {len(numbers):,} images are asked for; {most:,} at most in one request.")
    return numbers


def _places(wanted: Wanted, count: int) -> range:
    if wanted.frame is None:
        return range(count)
    if wanted.interpolate is None:
        raise UsageError("frame is one image of the way that interpolate draws; add interpolate.")
    if wanted.frame >= count:
        raise UsageError(f"frame must be less than {count:,}, which is all of the way.")
    return range(wanted.frame, wanted.frame + 1)


def _in_own_names(message: str) -> str:
    for flag, name in OWN_NAMES.items():
        message = message.replace(flag, name)
    return message


def in_one_line(errors: Iterable[Mapping[str, Any]]) -> str:
    """The faults of a body in one line, without its values, which may be such as JSON cannot hold (NaN)."""
    said = {_place(error): _reason(error) for error in reversed([*errors])}
    return "; ".join(f"{place}: {reason}" if place else reason for place, reason in reversed([*said.items()][-5:]))


def _place(error: Mapping[str, Any]) -> str:
    """The field: ``numbers.0``; cut and printable, since a name may be anything."""
    if error["type"] == "json_invalid":
        return ""
    names = [str(part) for part in error["loc"][1:] if not str(part).startswith(("list[", "constrained-"))]
    return ascii(".".join(names)[:100])[1:-1]


def _reason(error: Mapping[str, Any]) -> str:
    if error["type"] == "json_invalid":
        return "the body is no JSON."
    if error["type"] == "extra_forbidden":
        return f"there is no such field; {nearest(str(error['loc'][-1])[:100], Wanted.model_fields)}"
    return str(error["msg"])

"""The format of ``gen.pth`` and ``dis.pth``: one network with everything needed to rebuild it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from gancli import config
from gancli.data.conditions import Conditions, Label, choices_of, conditions_in
from gancli.errors import FileFormatError, UsageError
from gancli.files import torch_file
from gancli.files.torch_file import Scalar
from gancli.recipes.base import Recipe, Spec
from gancli.version import __version__

KIND = "gancli-network"
VERSION = 2
"""Format version. Version 1 had other networks for points."""
Role = Literal["generator", "discriminator"]
MAX_SIZE = 2**16
"""Largest height and width in pixels, and largest number of channels; larger ones are refused."""


@dataclass(frozen=True)
class Origin:
    """The origin of a network: its recipe and its data."""

    recipe: str
    hyperparameters: Mapping[str, Any]
    spec: Spec
    classes: tuple[str, ...]
    data: str
    fingerprint: str
    """Fingerprint of the data set; see `gancli.data.DataSet.fingerprint`."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Settings for reading the pictures; see `gancli.data.PictureOptions`."""
    conditions: Conditions | None = None
    """Names and scales of the conditions of its data, which have these in place of classes."""

    def choices(self, recipe: Recipe) -> Sequence[Label]:
        """Labels that the images of the recipe's generator have in turn; empty if it draws without."""
        return choices_of(self.classes, self.conditions) if recipe.conditional else ()

    def as_dict(self) -> dict[str, Any]:
        """Plain data for a file; without conditions, the same as before there were any."""
        plain = {each.name: getattr(self, each.name) for each in fields(self)}
        plain |= {"spec": plain_spec(self.spec), "classes": list(self.classes)}
        return plain | {"conditions": self.conditions.as_dict()} if self.conditions else _without(plain, "conditions")


def plain_spec(spec: Spec) -> dict[str, Any]:
    """The spec as plain data; without conditions, the same as before there were any."""
    return asdict(spec) if spec.conditions else _without(asdict(spec), "conditions")


def _without(table: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key != name}


@dataclass(frozen=True)
class NetworkFile:
    """The content of a network file."""

    role: Role
    origin: Origin
    steps: int
    images_seen: int
    weights: Mapping[str, Tensor]


def identity(origin: Origin, weights: Mapping[str, Tensor]) -> str:
    """SHA-256, in hex, of everything that determines a network's images.

    It covers recipe, hyperparameters, shape, conditions and weights.

    A generator has the same identity in a ``gen.pth``, in a checkpoint and during training.
    """
    told: list[Any] = [origin.recipe, dict(origin.hyperparameters), plain_spec(origin.spec)]
    told += [origin.conditions.as_dict()] if origin.conditions else []
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    for name in sorted(weights):
        values = weights[name].detach().cpu().contiguous()
        digest.update(f"\n{name} {values.dtype} {tuple(values.shape)}\n".encode())
        digest.update(values.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def require_fit(network: nn.Module, weights: Mapping[str, Tensor], what: str) -> None:
    """Raise FileFormatError if weights do not fit a network; ``what`` names the network in the message.

    The message names the first tensor that is missing, extra, not finite, or of another shape or type.
    """
    own = network.state_dict()
    for name in sorted(own.keys() ^ weights.keys(), key=str):
        raise FileFormatError(
            f"the {what}'s weights do not fit: {name} is only in {'the new network' if name in own else 'the file'}."
        )
    for name, value in own.items():
        have, want = (f"{str(w.dtype).removeprefix('torch.')} {tuple(w.shape)}" for w in (weights[name], value))
        if have != want:
            raise FileFormatError(f"the {what}'s weights do not fit: {name} is {have} in the file, {want} is needed.")
        if not bool(weights[name].isfinite().all()):
            raise FileFormatError(f"the {what}'s weights are of no use: {name} holds values that are not finite.")


def load_weights(network: nn.Module, weights: Mapping[str, Tensor], what: str) -> None:
    """Copy weights into a network after checking them with `require_fit`."""
    require_fit(network, weights, what)
    network.load_state_dict(weights)


def origin_of(content: Mapping[str, Any]) -> Origin:
    """Read the origin from a file's values; KeyError, TypeError or ValueError if they are invalid."""
    try:
        if not all(isinstance(each, Scalar) for each in content["spec"].values()):
            raise TypeError("its spec must be a table of plain values")
        spec = config.build(Spec, content["spec"], "its spec")
    except (UsageError, AttributeError) as error:
        raise ValueError(str(error)) from error
    if min(spec.channels, spec.height, spec.width) < 1 or max(spec.shape) > MAX_SIZE or spec.classes < 0:
        raise ValueError(f"there are no images of {spec.shape}")
    texts, tables = ("recipe", "data", "fingerprint"), ("hyperparameters", "options")
    values = {name: content[name] for name in (*texts, "hyperparameters")} | {"options": content.get("options", {})}
    if not all(isinstance(values[name], str) for name in texts):
        raise TypeError(f"{', '.join(texts)} must be texts")
    for name in tables:
        if not isinstance(values[name], Mapping) or not all(isinstance(each, Scalar) for each in values[name].values()):
            raise TypeError(f"{' and '.join(tables)} must be tables of plain values")
    classes = content["classes"]
    if not isinstance(classes, list | tuple) or not all(isinstance(each, str) for each in classes):
        raise TypeError("classes must be texts")
    conditions = conditions_in(content.get("conditions"))
    if spec.conditions != (len(conditions.names) if conditions else 0):
        raise ValueError("its spec has another number of conditions")
    return Origin(**values, spec=spec, classes=tuple(classes), conditions=conditions)


def require_present_points(path: Path, origin: Origin, older: bool) -> None:
    """Raise FileFormatError if an older gancli wrote a network for points.

    Those networks used LeakyReLU: their weights still fit, but would now draw other points.
    """
    if older and origin.spec.is_points:
        raise FileFormatError(f"{path} is of an older gancli, whose G drew points otherwise; use that, or train again.")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def save(path: Path, file: NetworkFile) -> None:
    """Write the file atomically; equal content gives equal bytes."""
    weights = {name: value.detach().cpu() for name, value in file.weights.items()}
    content = {
        "role": file.role, "gancli": __version__, **file.origin.as_dict(),
        "steps": file.steps, "images_seen": file.images_seen, "weights": weights,
    }  # fmt: skip
    torch_file.save(path, KIND, VERSION, content)


def load(path: Path, role: Role) -> NetworkFile:
    """Read a file; FileFormatError if it is missing, damaged, foreign or has the other role."""
    file = load_any(path)
    if file.role != role:
        raise FileFormatError(f"{path} holds a {file.role}; a {role} is needed.")
    return file


def load_any(path: Path) -> NetworkFile:
    """Read a file of either role; FileFormatError if it is missing, damaged or foreign."""
    content = torch_file.load(path, KIND, VERSION, oldest=1)
    try:
        origin = origin_of(content)
        file = NetworkFile(content["role"], origin, content["steps"], content["images_seen"], content["weights"])
        if not isinstance(file.weights, Mapping) or not all(isinstance(w, Tensor) for w in file.weights.values()):
            raise TypeError("its weights are no table of tensors")
        if file.role not in get_args(Role) or not isinstance(file.steps, int) or not isinstance(file.images_seen, int):
            raise TypeError("role must be generator or discriminator, steps and images_seen numbers")
    except (KeyError, TypeError, ValueError) as error:
        raise FileFormatError(f"{path} lacks a part that a {KIND} file must have: {_one_line(error)}.") from error
    require_present_points(path, origin, content["version"] < VERSION)
    return file

"""The generators of the service by name, and what each of them is."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gancli.artifacts.lookup import generator_called
from gancli.config.serve_command import Limits
from gancli.errors import UsageError
from gancli.sampling.generator import LoadedGenerator, load_generator, rows_of
from gancli.version import __version__

NAMED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,63})=(.+)")
"""``NAME=PATH``; a name is safe in file names, in headers and in metrics."""
MAX_IMAGES = 256
MAX_VALUES = 2**24
"""Values of the images of one request, unless ``--max-images`` says otherwise."""


@dataclass(frozen=True)
class Model:
    """A generator of the service."""

    name: str
    generator: LoadedGenerator
    rows: int
    """Images per forward pass."""
    max_images: int
    """Images per request."""

    def describe(self) -> dict[str, Any]:
        """Plain data for clients; no path of the server is in it."""
        file = self.generator.file
        channels, height, width = file.origin.spec.shape
        return {
            "name": self.name, "recipe": file.origin.recipe, "data": Path(file.origin.data).name, "steps": file.steps,
            "channels": channels, "height": height, "width": width, "latent_dim": self.generator.latent_dim,
            "classes": list(self.generator.classes), "conditions": self.generator.ranges,
            "generator": self.generator.identity,
            "max_images": self.max_images, "version": __version__,
        }  # fmt: skip


def load_models(ckpts: Sequence[str], limits: Limits, device: torch.device) -> dict[str, Model]:
    """Load each ``[NAME=]RUN|FILE``; the first is the default.

    Raises UsageError for a file that cannot be used, for a generator of points, and for two models of one name.
    """
    models: dict[str, Model] = {}
    for ckpt in ckpts:
        name, path = _name_and_path(ckpt)
        if name in models:
            raise UsageError(f"--ckpt: two generators are called {name}; name them with NAME=PATH.")
        models[name] = _load(name, path, limits, device)
    return models


def _load(name: str, path: Path, limits: Limits, device: torch.device) -> Model:
    generator = load_generator(path, device)
    spec = generator.file.origin.spec
    if spec.is_points:
        raise UsageError(f"--ckpt {path}: it draws points in the plane, which are no pictures; use gancli sample.")
    most = max(1, min(MAX_IMAGES, MAX_VALUES // (spec.channels * spec.height * spec.width)))
    return Model(name, generator, rows_of(generator, limits.batch_size), limits.max_images or most)


def _name_and_path(ckpt: str) -> tuple[str, Path]:
    """Split ``NAME=PATH``; without a name, that of the run's folder or of the file."""
    named = None if Path(ckpt).exists() else NAMED.fullmatch(ckpt)
    path = generator_called(os.path.expanduser(named[2] if named else ckpt))  # noqa: PTH111
    if named:
        return named[1], path
    folder = path.absolute().parent
    run = folder.parent if folder.name == "checkpoints" else folder
    name = run.name if (run / "config.toml").is_file() else path.stem
    return re.sub("[^A-Za-z0-9._-]+", "-", name).strip("-.")[:64] or "generator", path

"""What a training run is asked to do: one frozen dataclass, read from TOML files and flags, typos refused."""

import json
import sys
import tomllib
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path, PurePath
from typing import Any, Literal, TypeVar

from gancli.errors import UsageError, nearest

T = TypeVar("T")
Precision = Literal["fp32", "bf16", "fp16"]
MOST, MOST_THREADS, MOST_SEED = 10**9, 1024, 2**63 - 1
"""Bounds of numbers, beyond which a counter or a library overflows."""
LARGEST_FILE = 2**16
"""Bytes of a configuration; the time that TOML takes to read grows with the square of a key's length."""


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides how a run goes; None leaves the choice to the recipe or to the data."""

    data: str = "digits"
    """Name of a data set, or path of a folder or zip file of pictures."""
    data_root: str | None = None
    """Folder that holds downloaded data sets; None: ``GANCLI_DATA_ROOT``, else the user's cache folder."""
    image_size: str | None = None
    """Height and width to resize to, ``"64"`` or ``"64x96"``; None keeps the data's own size."""
    labels: Literal["auto", "none", "folder"] = "auto"
    """Classes of pictures: the first folder below the root, or what a ``dataset.json`` says (``auto``)."""
    color: Literal["auto", "rgb", "grey", "rgba"] = "auto"
    """Channels of pictures; ``auto``: grey if all are, else RGB."""
    alpha: Literal["white", "black", "keep"] = "white"
    """What shines through transparent pixels; ``keep`` needs ``color = "rgba"``."""
    fit: Literal["crop", "pad", "stretch"] = "crop"
    """How pictures get one shape."""
    small_images: Literal["upscale", "skip"] = "upscale"
    """What happens to pictures smaller than `image_size`."""
    bad_images: Literal["error", "skip"] = "error"
    """What happens to files that cannot be read; more than a tenth of them always stop the run."""
    holdout: float = 0.1
    """Share of the pictures of a folder or zip file that training never sees, chosen by their content."""
    cache: bool = True
    """Decode pictures once, into the user's cache folder; else whenever they are needed."""
    mirror: bool = False
    """Flip half of the real images left to right."""
    recipe: str = "auto"
    """Name of a file in ``gancli/recipes``; ``auto``: the one that is best for such data."""
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    """What differs from the recipe's own hyperparameters."""
    epochs: float | None = None
    """Passes over the training images; excludes `steps`."""
    steps: int | None = None
    """Generator updates; excludes `epochs`."""
    batch_size: int | Literal["auto"] | None = None
    """Real images a discriminator update sees, over all processes together; ``auto``: the recipe's, measured with a
    step, and in parts or smaller if it does not fit into memory."""
    accumulate: int = 1
    """Parts that a batch is worked through in, to save memory; the result is that of the whole."""
    device: str = "auto"
    """``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``."""
    precision: Precision = "fp32"
    """Arithmetic of the networks; losses, penalties and weights stay in fp32."""
    threads: int | None = None
    """CPU threads; None takes the cores that this process may use, or one for small images."""
    matmul: Literal["auto", "default", "onednn"] = "auto"
    """What multiplies float32 matrices on the CPU; ``auto``: oneDNN where it is clearly faster and as exact."""
    compile: Literal["auto", "on", "off"] = "auto"
    """Compile the step; ``auto``: tried in long runs, and taken where a step is clearly faster."""
    seed: int = 0
    """Every random draw is a function of it."""
    deterministic: bool = False
    """Refuse operations whose result differs from run to run (matters on CUDA)."""
    out: str = "runs"
    """Folder that holds the runs."""
    name: str | None = None
    """Name of the run; None: data and recipe."""
    save_every: int | None = None
    """Steps between checkpoints; None: twenty over the run, an epoch and 500 steps apart at least."""
    sample_every: int | None = None
    """Steps between sample grids; 0: only at the end; None: twenty over the run, at most one an epoch."""
    eval_every: int | None = None
    """Steps between quick evaluations, which also choose the best checkpoint; 0: none; None: as `save_every`,
    and none in a run that is too short to be worth it."""
    best_metric: str = "auto"
    """The figure that chooses the best checkpoint; ``auto``: ``fd``, or ``reverse_kl`` of points."""
    watch_every: int = 100
    """Steps between looks at the GAN's health; 0: none."""
    on_failure: Literal["warn", "stop", "rollback"] = "warn"
    """What an alarm does: tell; end the run with exit code 3; or go back to a healthy checkpoint and try otherwise."""
    log_every: int = 50
    """Steps that one line of metrics averages over."""
    keep: int = 3
    """Newest checkpoints kept, beside the best."""
    augment: Literal["auto", "none", "diffaug", "ada"] = "auto"
    """Differentiable augmentation of what D sees; ``auto``: as the recipe does for so many images."""
    top_k: float = 1.0
    """Share of the fakes, those that D finds most real, from which G learns; 1 % less an epoch."""
    freeze_d: int = 0
    """Lowest layers of D that keep the weights that `init_from` gave them."""
    init_from: str | None = None
    """Generator file, checkpoint or run to take the first weights from; the optimizers start anew."""

    def __post_init__(self) -> None:
        if self.epochs is not None and self.steps is not None:
            raise UsageError("epochs and steps exclude each other; give one of them.")
        for name in ("epochs", "steps", "batch_size", "accumulate", "log_every", "keep"):
            _require(self, name, above=0)
        for name in ("save_every", "sample_every", "eval_every", "watch_every", "freeze_d"):
            _require(self, name, above=-1)
        _require(self, "seed", above=-1, most=MOST_SEED)
        _require(self, "threads", above=0, most=MOST_THREADS)
        for name in ("data", "recipe", "out", "name", "device", "init_from"):
            if getattr(self, name) == "":
                raise UsageError(f"{name} is empty; leave it away or give it a value.")
        if not 0 < self.top_k <= 1:
            raise UsageError(f"top_k={self.top_k} must be more than 0 and at most 1.")
        if self.freeze_d and not self.init_from:
            raise UsageError("freeze_d keeps weights that init_from gave; name a run or generator file there.")
        if self.image_size is not None:
            parse_image_size(self.image_size)


RESUME_FIXED = (
    "data", "image_size", "labels", "color", "alpha", "fit", "small_images", "holdout", "mirror", "recipe",
    "hyperparameters", "batch_size", "seed", "augment", "top_k", "freeze_d", "init_from",
)  # fmt: skip
"""Fields that a resumed run cannot change, because it would be another run."""


def parse_image_size(text: str) -> tuple[int, int]:
    """``"64"`` -> (64, 64) and ``"64x96"`` -> (64, 96), height first; sides from 4 to 1024."""
    parts = text.lower().split("x")
    if len(parts) in (1, 2) and all(part.isdecimal() and 4 <= int(part) <= 1024 for part in parts):
        return int(parts[0]), int(parts[-1])
    raise UsageError(f"image_size={text!r} is not a size; write 64 or HEIGHTxWIDTH like 64x96, sides 4 to 1024.")


def build(cls: type[T], values: Mapping[str, Any], what: str) -> T:
    """Make the dataclass ``cls`` from untyped values, converting each to its field's type.

    Raises UsageError, naming ``what``, for an unknown name (with the nearest right one) or a wrong value.
    """
    hints = typing.get_type_hints(cls)
    allowed = [f.name for f in fields(cls)]  # type: ignore[arg-type]
    for name in values:
        if name not in allowed:
            raise UsageError(f"{what} has no {name!r}; {nearest(name, allowed)}")
    typed = {name: convert(value, hints[name], name) for name, value in values.items()}
    try:
        return cls(**typed)
    except ValueError as error:
        raise UsageError(f"{what}: {error}") from error


def convert(value: Any, hint: Any, name: str) -> Any:
    """Convert a TOML value or a flag's text to the type ``hint``; UsageError says what is allowed."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        if value is None or value == "none":
            return None
        words = [word for choice in typing.get_args(hint) for word in typing.get_args(choice)]
        if value in words:
            return value
        hint = next(choice for choice in typing.get_args(hint) if choice is not type(None))
        if words and isinstance(value, str) and not value.isdecimal():
            raise UsageError(f"{name}={value!r} must be {_KINDS[hint]} or {' or '.join(words)}.")
    if typing.get_origin(hint) is Literal:
        choices = typing.get_args(hint)
        if value not in choices:
            raise UsageError(f"{name}={value!r}: {nearest(str(value), map(str, choices))}")
        return value
    if typing.get_origin(hint) is not None:
        return dict(value) if isinstance(value, Mapping) else _refuse(value, "a table", name)
    return _scalar(value, hint, name)


def load_toml(path: Path) -> dict[str, Any]:
    """Read a configuration file into untyped values; UsageError if it is missing, too large, or is not TOML."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise UsageError(f"{path} is not a configuration: it is larger than {LARGEST_FILE} bytes.")
        return tomllib.loads(content.decode())
    except OSError as error:
        raise UsageError(f"cannot read the configuration {path}: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not valid TOML: {' '.join(str(error).split())}.") from error


def dump_toml(config: TrainConfig) -> str:
    """The configuration as TOML that `load_toml` and `build` turn into an equal one."""
    values = asdict(config)
    table = values.pop("hyperparameters")
    lines = [f"{name} = {_toml(value)}" for name, value in values.items() if value is not None]
    lines += ["", "[hyperparameters]"]
    lines += [f"{name} = {_toml(value)}" for name, value in table.items() if value is not None]
    return "\n".join(lines) + "\n"


def merge(file: Mapping[str, Any], settings: Sequence[str], flags: Mapping[str, Any]) -> dict[str, Any]:
    """Untyped values of a run: ``--set key=value`` wins over the file, flags that are not None over both.

    A key that no field of `TrainConfig` has is a hyperparameter of the recipe.
    """
    names = {f.name for f in fields(TrainConfig)}
    merged = {name: value for name, value in file.items() if name != "hyperparameters"}
    hyperparameters = dict(convert(file.get("hyperparameters", {}), Mapping[str, Any], "hyperparameters"))
    given: dict[str, Any] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not name:
            raise UsageError(f"--set {setting!r} is not of the form key=value.")
        (given if name in names else hyperparameters)[name.strip()] = value.strip()
    given |= {name: value for name, value in flags.items() if value is not None}
    if "steps" in given or "epochs" in given:
        merged.pop("steps", None)
        merged.pop("epochs", None)
    over = convert(given.get("hyperparameters", {}), Mapping[str, Any], "hyperparameters")
    return merged | given | {"hyperparameters": hyperparameters | over}


def defaults_of(cls: type) -> dict[str, Any]:
    """Field names and default values of a dataclass whose fields all have one."""
    return {f.name: f.default for f in fields(cls) if f.default is not MISSING}


def _require(config: TrainConfig, name: str, above: int, most: int = MOST) -> None:
    value = getattr(config, name)
    if value in (None, "auto"):
        return
    if not value > above:  # so that NaN is refused
        raise UsageError(f"{name}={value} must be {'at least' if above < 0 else 'more than'} 0.")
    if value > most:
        raise UsageError(f"{name}={value} must be at most {most:,}.")


def _scalar(value: Any, hint: type, name: str) -> Any:
    if hint is str and isinstance(value, PurePath):
        return str(value)
    if isinstance(value, str) and hint is not str:
        if hint is bool:
            return value == "true" if value in ("true", "false") else _refuse(value, "true or false", name)
        try:
            value = hint(value)
        except ValueError:
            return _refuse(value, _KINDS[hint], name)
    if hint is float and type(value) in (int, float):
        return float(value) if abs(value) <= sys.float_info.max else _refuse(value, "a finite number", name)
    if hint is str and type(value) is int:
        return str(value)
    return value if type(value) is hint else _refuse(value, _KINDS[hint], name)


_KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


def _refuse(value: Any, wanted: str, name: str) -> Any:
    raise UsageError(f"{name}={value!r} must be {wanted}.")


def _toml(value: Any) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value).lower() if isinstance(value, bool) else repr(value)

"""Read and write configurations as TOML."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gancli.config.train import TrainConfig
from gancli.errors import UsageError

MAX_BYTES = 2**16
"""Largest size of a configuration file; reading TOML takes time quadratic in the length of a key."""


def load_toml(path: Path) -> dict[str, Any]:
    """Read a configuration file into untyped values; UsageError if it is missing, too large or not TOML."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise UsageError(f"{path} is not a configuration: it is larger than {MAX_BYTES} bytes.")
        return tomllib.loads(content.decode())
    except OSError as error:
        raise UsageError(f"cannot read the configuration {path}: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not valid TOML: {' '.join(str(error).split())}.") from error


def dump_toml(config: TrainConfig) -> str:
    """The configuration as TOML; `load_toml` and `build` restore it exactly."""
    values = asdict(config)
    table = values.pop("hyperparameters")
    return "\n".join([*_lines(values), "", "[hyperparameters]", *_lines(table)]) + "\n"


def _lines(values: Mapping[str, Any]) -> list[str]:
    return [f"{name} = {_toml(value)}" for name, value in values.items() if value is not None]


def _toml(value: Any) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value).lower() if isinstance(value, bool) else repr(value)

"""Libraries that one command alone needs, which an extra of the package installs."""

import importlib
from typing import Any

from gancli.errors import UsageError


def required(module: str, extra: str, for_what: str) -> Any:
    """The module; UsageError with what to install where it is missing."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise UsageError(
            f"{for_what} needs {package}, which is not installed: pip install 'gancli[{extra}]'"
        ) from error

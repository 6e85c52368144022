"""Import libraries that only one command needs; an extra of the package installs them."""

import importlib
from typing import Any

from gancli.errors import UsageError


def required(module: str, extra: str, for_what: str) -> Any:
    """Import a module; UsageError, saying what to install, if it is missing."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise UsageError(
            f"{for_what} needs {package}, which is not installed: pip install 'gancli[{extra}]'"
        ) from error

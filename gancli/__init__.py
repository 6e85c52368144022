"""gancli: train a GAN on your images, draw from it, and measure honestly how good it is.

``train``, ``sample``, ``reconstruct``, ``export`` and ``inspect`` do the same as the commands of these names;
``evaluate`` does the same as ``gancli eval``. ``load`` returns a generator as an object.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gancli.api import Callback, evaluate, export, inspect, load, reconstruct, sample, train

from gancli.version import __version__ as __version__

__all__ = ["Callback", "evaluate", "export", "inspect", "load", "reconstruct", "sample", "train"]


def __getattr__(name: str) -> Any:
    """Import torch only when one of these names is first used."""
    if name in __all__:
        import random

        before = random.getstate()  # Rich draws a number when it is imported
        from gancli import api

        random.setstate(before)
        return getattr(api, name)
    raise AttributeError(f"module 'gancli' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Include functions that are not imported yet."""
    return sorted({*globals(), *__all__})

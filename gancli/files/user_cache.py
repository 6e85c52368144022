"""The folder in which gancli keeps what it can make again."""

from pathlib import Path


def user_cache(*parts: str) -> Path:
    """A path in the user's cache folder, as the operating system wants it (``XDG_CACHE_HOME`` on Linux)."""
    import platformdirs

    return platformdirs.user_cache_path("gancli").joinpath(*parts)

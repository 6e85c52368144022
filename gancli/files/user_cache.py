"""The user's cache folder, for files that gancli can make again."""

import os
import stat
import tempfile
from functools import lru_cache
from pathlib import Path


def user_cache(*parts: str) -> Path:
    """A path in gancli's cache folder, at the operating system's usual place (below ``XDG_CACHE_HOME`` on Linux).

    If the user has no home folder, or one that cannot be written to, as in many containers, it is a private folder
    among the temporary files. A folder that ``XDG_CACHE_HOME`` names is used in any case.
    """
    import platformdirs

    try:
        folder = platformdirs.user_cache_path("gancli")
    except RuntimeError:  # neither HOME nor an entry in passwd
        folder = _temporary()
    is_usable = folder.is_absolute() and ("XDG_CACHE_HOME" in os.environ or _can_exist(folder))
    return (folder if is_usable else _temporary()).joinpath(*parts)


def _can_exist(folder: Path) -> bool:
    """True if the folder exists, or can be made."""
    existing = next(each for each in (folder, *folder.parents) if each.exists())
    return existing == folder or os.access(existing, os.W_OK)


@lru_cache
def _temporary() -> Path:
    """A folder that only this user can use, the same for all processes if possible."""
    folder = Path(tempfile.gettempdir()) / f"gancli-{os.getuid() if hasattr(os, 'getuid') else 'user'}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        if stat.S_ISDIR(status.st_mode) and (os.name == "nt" or status.st_uid == os.getuid()):
            return folder
    except OSError:
        pass
    return Path(tempfile.mkdtemp(prefix="gancli-"))

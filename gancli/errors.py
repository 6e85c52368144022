"""The exceptions whose messages the command line prints as one line, with the exit code each leads to."""

import difflib
from collections.abc import Iterable


class GancliError(Exception):
    """Something a user can read and act on; the message is one complete sentence or two."""

    exit_code = 1


class UsageError(GancliError):
    """A flag, a configuration file or an input that cannot be used as it is."""

    exit_code = 2


class DataError(UsageError):
    """A data set that is not there or cannot be read."""


class FileFormatError(UsageError):
    """A file that is truncated, foreign, or of a format this version cannot read."""


class CannotSave(GancliError):
    """The end of a run could not be written."""


class TrainingDiverged(GancliError):
    """A loss is no longer a finite number."""

    exit_code = 3


class TrainingFailed(GancliError):
    """The watch found the training to fail, and was told to end it."""

    exit_code = 3

    def __init__(self, message: str, since: int) -> None:
        super().__init__(message)
        self.since = since
        """The first step that showed it."""


class OutOfMemory(GancliError):
    """A step did not fit into memory."""


class LimitCrossed(GancliError):
    """A metric crossed a limit that the caller set."""

    exit_code = 4


class Interrupted(GancliError):
    """A signal asked the run to stop, and its state was saved; the exit code is 128 plus the signal's number."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory could not be had; on the CPU torch and oneDNN have no type for it."""
    said = str(error).lower()
    ways = ("out of memory", "can't allocate memory", "could not create a primitive")
    other = "primitive descriptor" in said
    return isinstance(error, MemoryError) or (not other and any(way in said for way in ways))


MIN_LIKENESS = 0.75
"""Share of letters in common from which a name may be a misspelling of another; stylegan2 is none of fastgan."""


def nearest(wrong: str, allowed: Iterable[str]) -> str:
    """A hint that ends an error message: the nearest right spelling, or else all that is allowed."""
    names = sorted(allowed)
    same = [name for name in names if name.casefold() == wrong.casefold()]
    close = same or difflib.get_close_matches(wrong, names, n=1, cutoff=MIN_LIKENESS)
    return f"did you mean {close[0]!r}?" if close else f"choose from {', '.join(names)}"


def counted(number: int, noun: str) -> str:
    """``1 picture`` or ``1,200 pictures``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"

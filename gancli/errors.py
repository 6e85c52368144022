"""Exceptions whose messages the command line prints as one line, each with its exit code."""

import difflib
from collections.abc import Iterable, Sequence


class GancliError(Exception):
    """Base of all errors that a user can act on; the message is one or two complete sentences."""

    exit_code = 1


class UsageError(GancliError):
    """A flag, a configuration file or an input cannot be used."""

    exit_code = 2


class DataError(UsageError):
    """A data set is missing or cannot be read."""


class FileFormatError(UsageError):
    """A file is truncated, foreign, or in a format that this version cannot read."""


class CannotSave(GancliError):
    """The files at the end of a run could not be written."""


class TrainingDiverged(GancliError):
    """A loss is no longer a finite number."""

    exit_code = 3


class TrainingFailed(GancliError):
    """The health watch raised an alarm that ends the run."""

    exit_code = 3

    def __init__(self, message: str, since: int) -> None:
        super().__init__(message)
        self.since = since
        """The first step that showed the failure."""


class OutOfMemory(GancliError):
    """A step did not fit into memory."""


class LimitCrossed(GancliError):
    """A metric crossed a limit of ``--fail-if``."""

    exit_code = 4


class Interrupted(GancliError):
    """A signal stopped the run, and its state was saved; the exit code is 128 plus the signal's number."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number


def is_out_of_memory(error: BaseException) -> bool:
    """True if an error means that memory ran out.

    The message decides, because torch and oneDNN have no exception type for this on the CPU.
    """
    message = str(error).lower()
    ways = ("out of memory", "can't allocate memory", "could not create a primitive")
    other = "primitive descriptor" in message
    return isinstance(error, MemoryError) or (not other and any(way in message for way in ways))


MIN_LIKENESS = 0.75
"""Lowest similarity of a name and its misspelling; high enough that stylegan3 does not suggest fastgan."""


def nearest(wrong: str, allowed: Iterable[str]) -> str:
    """A hint for the end of a message: the nearest correct spelling, or all allowed names."""
    names = sorted(allowed)
    close = closest(wrong, names)
    return f"did you mean {close!r}?" if close else f"choose from {', '.join(names)}"


def closest(wrong: str, names: Sequence[str]) -> str | None:
    """The name that was probably meant: with other capitals, else with swapped letters, else the most alike; or None.

    Example:
        >>> closest("dgcan", ["ddgan", "dcgan"]), closest("pigeon", ["ddgan", "dcgan"])
        ('dcgan', None)
    """
    same = [name for name in names if name.casefold() == wrong.casefold()]
    swapped = [name for name in names if sorted(name.casefold()) == sorted(wrong.casefold())]
    close = same or swapped or difflib.get_close_matches(wrong, names, n=1, cutoff=MIN_LIKENESS)
    return close[0] if close else None


def in_a_list(name: str) -> str:
    """A name as an entry of a list, in quotes if it has a comma.

    Example:
        >>> in_a_list("red"), in_a_list("red, white")
        ('red', '"red, white"')
    """
    return f'"{name}"' if "," in name else name


def counted(number: int, noun: str) -> str:
    """A number with its noun, in the plural unless the number is 1.

    Example:
        >>> counted(1, "picture"), counted(1200, "picture")
        ('1 picture', '1,200 pictures')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"

"""Rename flags in messages to keywords, for Python and for files."""

import contextlib
import re
from collections.abc import Iterator, Mapping

from gancli.config.settings import Declared, declarations
from gancli.errors import GancliError, Interrupted

_FLAG = re.compile(r"--([a-z][a-z0-9-]*)(?: (?=(\w+|['\d.-])))?")


def in_keywords(message: str, cls: type | None = None) -> str:
    """The message with flags as keywords: ``--batch-size 0 must`` -> ``batch_size=0 must``.

    ``cls`` declares the settings. Choices become strings: ``--labels none`` -> ``labels="none"``.
    """
    declared = {} if cls is None else {flag: each for each in declarations(cls).values() for flag in spellings(each)}
    renamed, position = "", 0
    while match := _FLAG.search(message, position):
        keyword, length = _keyword(match, declared)
        renamed += message[position : match.start()] + keyword
        position = match.end(1) if length is None else length
    return renamed + message[position:]


@contextlib.contextmanager
def naming_keywords(cls: type) -> Iterator[None]:
    """In this context, messages of errors name keywords instead of flags."""
    try:
        yield
    except Interrupted:
        raise  # its message contains a command
    except GancliError as error:
        error.args = (in_keywords(str(error), cls),)
        raise


def spellings(declared: Declared) -> list[str]:
    """Every flag of a setting, both of ``--mirror/--no-mirror``."""
    return [flag for flags in declared.flags for flag in flags.split("/")]


def _keyword(match: re.Match[str], declared: Mapping[str, Declared]) -> tuple[str, int | None]:
    """The keyword for a flag; if it includes the flag's value, also the position after it."""
    flag, value = match[0].rstrip(), match[2]
    name = match[1].replace("-", "_")
    if each := declared.get(flag):
        name = each.name
        if each.hint is bool:
            return f"{name}={not flag.startswith('--no-')}", None
        if value in each.choices():
            return f'{name}="{value}"', match.end() + len(value)
    return (f"{name}=", match.end()) if value and not value[0].isalpha() else (name, None)

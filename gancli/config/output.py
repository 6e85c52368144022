"""Settings for printing a command's result."""

from dataclasses import dataclass
from typing import ClassVar

from gancli.config.settings import Settings, setting


@dataclass(frozen=True, kw_only=True)
class Output(Settings):
    """Settings for printing a command's result."""

    PANEL: ClassVar[str | None] = "What is shown"

    json: bool = setting(False, "Print the result as one JSON object.", flags=("--json",))
    quiet: bool = setting(False, "No progress and no notes; warnings and the result stay.", flags=("--quiet", "-q"))

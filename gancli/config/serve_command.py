"""Settings of ``gancli serve``."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from gancli.config.output import Output
from gancli.config.sample_command import Marking, Sampling
from gancli.config.settings import REQUIRED, Settings, like, setting
from gancli.config.train import Machine

MAX_PORT = 65535


@dataclass(frozen=True, kw_only=True)
class Address(Settings):
    """Where the service listens, and who may use it."""

    PANEL: ClassVar[str | None] = "Address"

    host: str = setting("127.0.0.1", "Address to listen on; the default is for this machine alone.", metavar="ADDRESS")
    port: int = setting(8000, "Port to listen on; 0 takes a free one.", at_least=0, at_most=MAX_PORT)
    token_file: str | None = setting(
        None,
        "File with the token that requests must bring; also as the environment variable GANCLI_TOKEN.",
        metavar="FILE",
        is_path=True,
        default_in_words="none",
    )


@dataclass(frozen=True, kw_only=True)
class Limits(Settings):
    """Bounds of what requests may ask for."""

    PANEL: ClassVar[str | None] = "Limits"

    max_images: int | None = setting(
        None,
        "Images that one request may ask for.",
        at_least=1,
        at_most=10_000,
        default_in_words="by image size, at most 256",
    )
    queue: int = setting(
        64, "Requests that wait or are being answered; one more is refused with 429.", at_least=1, at_most=10_000
    )
    timeout: float = setting(
        30.0, "Seconds after which a request is refused with 503.", above=0, at_most=3600, metavar="SECONDS"
    )
    batch_size: int | None = like(
        Sampling, "batch_size", meaning="Images of waiting requests that one forward pass takes together."
    )


@dataclass(frozen=True, kw_only=True)
class ServeFlags(Output, Marking, Limits, Address):
    """Settings of ``gancli serve``."""

    ckpt: Sequence[str] = setting(
        REQUIRED,
        "Generators, as `gancli sample` takes them; NAME= says what requests call one. The first is the default.",
        metavar="[NAME=]RUN|FILE ...",
        positional="also",
        is_path=True,
        completes="run",
    )
    device: str = like(Machine, "device")

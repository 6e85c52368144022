"""Settings of the commands for generators and pictures that leave home: ``gancli inspect``."""

from collections.abc import Sequence
from dataclasses import dataclass

from gancli.config.output import Output
from gancli.config.sample_command import Marking, Sampling
from gancli.config.settings import REQUIRED, like, setting
from gancli.config.train import Machine


@dataclass(frozen=True, kw_only=True)
class InspectFlags(Output):
    """Settings of ``gancli inspect``."""

    files: Sequence[str] = setting(
        REQUIRED,
        "Pictures, arrays, network files, checkpoints, reports, folders of runs.",
        metavar="FILE ...",
        positional="only",
        is_path=True,
    )
    ckpt: str | None = like(
        Sampling,
        "ckpt",
        default=None,
        meaning="Draw each picture again from this generator, and compare them pixel by pixel.",
        positional="no",
    )
    label_font: str | None = like(Marking, "label_font", meaning="With --ckpt: the font of the pictures' labels.")
    device: str = like(Machine, "device")

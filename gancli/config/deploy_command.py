"""Settings of the commands for generators and pictures that leave home: ``gancli inspect`` and ``gancli export``."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Literal

from gancli.config.output import Output
from gancli.config.sample_command import Marking, Sampling
from gancli.config.settings import REQUIRED, Settings, like, setting
from gancli.config.train import Data, Machine


@dataclass(frozen=True, kw_only=True)
class Comparing(Settings):
    """The generator that a picture may come from."""

    ckpt: str | Path | None = like(
        Sampling,
        "ckpt",
        default=None,
        meaning="Draw each picture again from this generator, and compare them pixel by pixel.",
        positional="no",
    )
    label_font: str | None = like(Marking, "label_font", meaning="With --ckpt: the font of the pictures' labels.")
    device: str = like(Machine, "device")


@dataclass(frozen=True)
class Inspecting(Comparing):
    """Settings of ``gancli.inspect``."""

    file: str | Path = setting(
        REQUIRED, "A picture, an array, a network file, a checkpoint, a report, or a run's folder.", is_path=True
    )


@dataclass(frozen=True, kw_only=True)
class InspectFlags(Output, Comparing):
    """Settings of ``gancli inspect``."""

    files: Sequence[str] = setting(
        REQUIRED,
        "Pictures, arrays, network files, checkpoints, reports, folders of runs.",
        metavar="FILE ...",
        positional="only",
        is_path=True,
    )


@dataclass(frozen=True)
class Exporting(Settings):
    """Settings of ``gancli.export``."""

    ckpt: str | Path = like(Sampling, "ckpt")
    _: KW_ONLY
    to: str | Path = setting(
        REQUIRED,
        "The model's file: ONNX, weights alone, or torch.export's.",
        metavar="FILE.onnx|.safetensors|.pt2",
        is_path=True,
    )
    uint8: bool = setting(
        False, "Images leave the model as pixels, uint8 N H W C, in place of floats N C H W in [-1, 1].",
        flags=("--uint8",),
    )  # fmt: skip
    precision: Literal["fp32", "fp16", "int8"] = setting(
        "fp32", "Of an .onnx: half precision, or weights as bytes; FD is measured before and after."
    )
    overwrite: bool = setting(False, "Replace what is at --to.", flags=("--overwrite",))
    data_root: str | Path | None = like(Data, "data_root")


@dataclass(frozen=True, kw_only=True)
class ExportFlags(Output, Exporting):
    """Settings of ``gancli export``."""

    to: str | Path | None = like(Exporting, "to", default=None)  # type: ignore[assignment]  # a card may be all
    card: str | None = setting(
        None,
        "New folder for a model card: README.md and a picture, from the run's own records.",
        metavar="DIR",
        is_path=True,
    )

"""The settings of every command by its name; here those of the small commands, the others in files of their own."""

from dataclasses import dataclass

from gancli.config.deploy_command import ExportFlags, InspectFlags
from gancli.config.evaluate_command import CompareFlags, EvaluateFlags
from gancli.config.output import Output
from gancli.config.pictures import PictureOptions
from gancli.config.sample_command import ReconstructFlags, SampleFlags
from gancli.config.serve_command import ServeFlags
from gancli.config.settings import REQUIRED, Settings, like, setting
from gancli.config.train import Data
from gancli.config.train_command import TrainFlags, VerifyResumeFlags


@dataclass(frozen=True, kw_only=True)
class DoctorFlags(Output):
    """Settings of ``gancli doctor``."""

    run: str = setting(
        "latest",
        "Folder of a run, finished or not.",
        metavar="RUN|latest",
        positional="also",
        is_path=True,
        default_in_words="latest, the newest in runs",
        completes="run",
    )
    plot: str | None = setting(
        None, "New file for the curves.", metavar="FILE.png", is_path=True, default_in_words="RUN/health.png"
    )


@dataclass(frozen=True, kw_only=True)
class CheckFlags(Output, PictureOptions):
    """Settings of ``gancli data check``."""

    data: str = like(
        Data,
        "data",
        default=REQUIRED,
        meaning="A folder, zip or NumPy file of pictures.",
        metavar="DIR|ZIP|FILE.npz",
        positional="also",
        completes=None,
    )
    image_size: str | None = like(Data, "image_size")
    sheet: str | None = setting(
        None, "Draw 64 of the pictures as training sees them.", metavar="FILE.png", is_path=True
    )


@dataclass(frozen=True, kw_only=True)
class CacheFlags(Settings):
    """Settings of ``gancli data cache``."""

    clear: bool = setting(False, "Delete what is kept.", flags=("--clear",))
    json: bool = like(Output, "json")


@dataclass(frozen=True, kw_only=True)
class RecipesFlags(Settings):
    """Settings of ``gancli recipes``."""

    name: str | None = setting(
        None, "Show this recipe's hyperparameters.", metavar="NAME", positional="only", completes="recipe"
    )
    image_size: str = setting("32", "Size of the images for which weights are counted.", metavar="N|HxW")
    channels: int = setting(3, "Their channels.", at_least=1, at_most=4)
    classes: int = setting(10, "Their classes, for conditional GANs.", at_least=1)
    json: bool = like(Output, "json")


COMMANDS: dict[str, type[Settings]] = {
    "train": TrainFlags,
    "sample": SampleFlags,
    "eval": EvaluateFlags,
    "compare": CompareFlags,
    "reconstruct": ReconstructFlags,
    "doctor": DoctorFlags,
    "inspect": InspectFlags,
    "export": ExportFlags,
    "serve": ServeFlags,
    "verify-resume": VerifyResumeFlags,
    "data check": CheckFlags,
    "data cache": CacheFlags,
    "recipes": RecipesFlags,
}
"""The settings of each command, in the order of the help."""

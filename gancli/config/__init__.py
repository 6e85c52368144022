"""Settings. Each is one field of one frozen dataclass, from which flags, help, keywords and messages are made."""

from gancli.config.pictures import PictureOptions
from gancli.config.toml import dump_toml, load_toml
from gancli.config.train import RESUME_FIXED, Precision, TrainConfig, merge
from gancli.config.values import build, current_names, parse_duration, parse_image_size

__all__ = [
    "RESUME_FIXED", "PictureOptions", "Precision", "TrainConfig", "build", "current_names", "dump_toml", "load_toml",
    "merge", "parse_duration", "parse_image_size",
]  # fmt: skip

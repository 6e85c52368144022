"""What commands can be told: each setting is one field of one frozen dataclass; everything else is made from it."""

from gancli.config.pictures import PictureOptions
from gancli.config.toml import dump_toml, load_toml
from gancli.config.train import RESUME_FIXED, Precision, TrainConfig, merge
from gancli.config.values import build, parse_duration, parse_image_size

__all__ = [
    "RESUME_FIXED", "PictureOptions", "Precision", "TrainConfig", "build", "dump_toml", "load_toml", "merge",
    "parse_duration", "parse_image_size",
]  # fmt: skip

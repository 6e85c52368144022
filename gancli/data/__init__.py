"""Data sets by name, and pictures from any folder or archive."""

from gancli.config.pictures import PictureOptions
from gancli.data.dataset import DataSet, Split
from gancli.data.pictures.decoded_cache import Progress
from gancli.data.pictures.load import load_all as load_pictures
from gancli.data.sources import SOURCES, default_root, load, pictures_at

__all__ = [
    "SOURCES", "DataSet", "PictureOptions", "Progress", "Split", "default_root", "load", "load_pictures", "pictures_at",
]  # fmt: skip

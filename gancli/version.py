"""The version of gancli."""

__version__ = "0.1.0"

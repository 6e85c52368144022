"""Generators and pictures that leave home: what a file is, whether it is sound, and where a picture comes from."""

"""Draw images from a generator file."""

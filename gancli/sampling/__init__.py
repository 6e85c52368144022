"""From a generator file to images."""

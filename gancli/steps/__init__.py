"""One training step of any recipe."""

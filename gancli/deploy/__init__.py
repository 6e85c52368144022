"""Export generators, inspect files, and verify which generator drew a picture."""

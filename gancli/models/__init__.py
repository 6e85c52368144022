"""Networks that two or more recipes use. A shape is (channels, height, width)."""

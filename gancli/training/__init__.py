"""The training loop and its callbacks. They know the contract of recipes, but no recipe."""

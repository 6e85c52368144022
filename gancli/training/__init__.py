"""The training loop and what it keeps: it knows the contract of recipes, and no recipe."""

"""Sources of images to evaluate: generator files, checkpoints, pictures, features."""
